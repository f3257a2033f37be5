//! `notion-auth-gateway rotate`: encrypts all records with the first key.

use std::error::Error as _;

use indicatif::{ProgressBar, ProgressStyle};
use notion_auth::{AuthError, BoxError, NotionAuthProvider, Subject, store::ListQuery};

use serde_json::{Value, json};

use crate::{
    cli::Output,
    output::{escaped, line},
    vault,
};

/// Records between two steps of the bar.
const PAGE: usize = 100;

/// Encrypts the records of other keys again, while gateways run. Fails if another key than the first is still needed.
pub(crate) async fn rotate(
    provider: &NotionAuthProvider,
    options: &Output,
) -> Result<(), BoxError> {
    let records = count(provider)
        .await
        .map_err(|error| vault::complaint(&error))?;
    let bar = bar(records)?;
    let (mut re_encrypted, mut current, mut after) = (0, 0, None);
    let (mut pending, mut unreadable) = (Vec::new(), Vec::new());
    loop {
        let page = provider.rotate(after.as_ref(), PAGE).await;
        let page = page.map_err(|error| vault::complaint(&error))?;
        re_encrypted += page.re_encrypted;
        current += page.current;
        pending.extend(page.pending);
        unreadable.extend(page.unreadable);
        let done = re_encrypted + current + pending.len() + unreadable.len();
        bar.set_position(done as u64);
        let Some(last) = page.next else { break };
        after = Some(last);
    }
    bar.finish_and_clear();

    let unreadable: Vec<(&str, String)> = unreadable
        .iter()
        .map(|error| {
            let reason = error.source().map_or_else(String::new, ToString::to_string);
            (error.subject().map_or("?", Subject::as_str), reason)
        })
        .collect();
    if options.json {
        let pending: Vec<&str> = pending.iter().map(Subject::as_str).collect();
        let unreadable: Vec<Value> = unreadable
            .iter()
            .map(|(subject, reason)| json!({"subject": subject, "reason": reason}))
            .collect();
        let report = json!({
            "re_encrypted": re_encrypted,
            "current": current,
            "pending": pending,
            "unreadable": unreadable,
        });
        line(&report.to_string())?;
    } else {
        line(&format!(
            "{re_encrypted} encrypted again, {current} were already encrypted with the first key"
        ))?;
        for subject in &pending {
            line(&format!(
                "{}: it is being refreshed: run this again. If it stays, the process that refreshed it has \
                 died: a request with its gateway key, or connecting it again, ends that",
                escaped(subject.as_str())
            ))?;
        }
        for (subject, reason) in &unreadable {
            line(&format!(
                "{}: it can't be read: {}",
                escaped(subject),
                escaped(reason)
            ))?;
        }
    }
    if pending.is_empty() && unreadable.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} not encrypted with the first key: remove no key from NOTION_AUTH_KEYS yet",
        pending.len() + unreadable.len()
    )
    .into())
}

async fn count(provider: &NotionAuthProvider) -> Result<u64, AuthError> {
    let (mut count, mut query) = (0, ListQuery::default().limit(1000));
    loop {
        let page = provider.list(&query).await?;
        count += page.len() as u64;
        match page.into_iter().next_back() {
            Some(last) => query = query.after(last.subject),
            None => return Ok(count),
        }
    }
}

/// Shown on a terminal only.
fn bar(records: u64) -> Result<ProgressBar, BoxError> {
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} records, {eta} to go")?;
    Ok(ProgressBar::new(records).with_style(style))
}
