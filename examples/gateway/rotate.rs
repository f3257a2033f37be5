//! `gateway rotate`: all that is stored, sealed by the first of the keys.

use std::error::Error as _;

use indicatif::{ProgressBar, ProgressStyle};
use notion_auth::{AuthError, BoxError, NotionAuthProvider, Subject, store::Filter};

use crate::{settings::Settings, vault};

/// Records between two steps of the bar.
const PAGE: usize = 100;

/// Seals anew what another key has sealed, while gateways go on. Fails if a key but the first is still needed.
pub(crate) async fn rotate(settings: Settings) -> Result<(), BoxError> {
    vault::exists(&settings.database)?;
    let builder = NotionAuthProvider::builder().app(settings.app);
    let (builder, _, _) = vault::open(builder, &settings.database).await?;
    let provider = builder.build()?;
    vault::check(&provider).await?;

    let records = count(&provider)
        .await
        .map_err(|error| vault::complaint(&error))?;
    let bar = bar(records)?;
    let (mut resealed, mut current, mut after) = (0, 0, None);
    let (mut claimed, mut unreadable) = (Vec::new(), Vec::new());
    loop {
        let page = provider.rotate(after.as_ref(), PAGE).await;
        let page = page.map_err(|error| vault::complaint(&error))?;
        resealed += page.resealed;
        current += page.current;
        claimed.extend(page.pending);
        unreadable.extend(page.unreadable);
        bar.set_position((resealed + current + claimed.len() + unreadable.len()) as u64);
        let Some(last) = page.next else { break };
        after = Some(last);
    }
    bar.finish_and_clear();

    println!("{resealed} sealed anew, {current} were already sealed by the first key");
    for subject in &claimed {
        println!(
            "{}: it is being refreshed: run this again. If it stays, whoever did that has died: one \
             request with its key, or connecting it again, ends it",
            subject.as_str()
        );
    }
    for error in &unreadable {
        let subject = error.subject().map_or("?", Subject::as_str);
        let reason = error.source().map_or_else(String::new, ToString::to_string);
        println!("{subject}: no key opens it: bring its key back, or connect it again ({reason})");
    }
    if claimed.is_empty() && unreadable.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} not sealed by the first key: take no key away yet",
        claimed.len() + unreadable.len()
    )
    .into())
}

async fn count(provider: &NotionAuthProvider) -> Result<u64, AuthError> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = provider.list(Filter::All, after.as_ref(), 1000).await?;
        count += page.len() as u64;
        match page.into_iter().next_back() {
            Some(last) => after = Some(last.subject),
            None => return Ok(count),
        }
    }
}

/// Shown on a terminal only.
fn bar(records: u64) -> Result<ProgressBar, BoxError> {
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} records, {eta} to go")?;
    Ok(ProgressBar::new(records).with_style(style))
}
