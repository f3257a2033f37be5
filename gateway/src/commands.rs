//! The commands that look at connections and change them, over the store of running gateways.

use std::{error::Error as StdError, iter::successors, time::SystemTime};

use notion_auth::{
    AuthError, BoxError, NotionAuthProvider, ReauthorizationReason, Subject,
    provider::{ConnectionStatus, Revocation, Verdict},
    store::{Filter, ListQuery, RecordState, StoreError},
};
use serde_json::{Value, json};

use crate::{
    cli::{self, List},
    output::{escaped, line, time},
    vault,
};

/// Records of one query.
const PAGE: usize = 500;

const STATES: [&str; 8] = [
    "active",
    "needs_reauthorization",
    "disconnected",
    "unreadable",
    "revoked",
    "rotation_lost",
    "no_refresh_token",
    "expired",
];

pub(crate) async fn list(provider: &NotionAuthProvider, options: List) -> Result<(), BoxError> {
    let state = options.state.as_deref();
    if let Some(state) = state.filter(|state| !STATES.contains(state)) {
        let states = STATES.join(", ");
        return Err(format!("--state: {} is not one of {states}", escaped(state)).into());
    }
    let filter = match state {
        Some("active") => Filter::Active,
        Some("needs_reauthorization") => Filter::NeedsReauthorization,
        _ => Filter::All,
    };
    let prefix = options.prefix.unwrap_or_default();
    let mut query = ListQuery::default()
        .prefix(prefix)
        .filter(filter)
        .limit(PAGE);
    loop {
        let page = provider
            .list(&query)
            .await
            .map_err(|error| failed(&error))?;
        let Some(last) = page.last().map(|it| it.subject.clone()) else {
            return Ok(());
        };
        query = query.after(last);
        for it in page {
            let is_shown = match state {
                // The query asked for these alone.
                Some("needs_reauthorization") => true,
                Some(state) => it.state.code() == state,
                // A tombstone is no connection.
                None => it.state != RecordState::Disconnected,
            };
            if is_shown {
                line(&match options.output.json {
                    true => json_of(&it).to_string(),
                    false => short(&it),
                })?;
            }
        }
    }
}

fn short(it: &ConnectionStatus) -> String {
    let workspace = it.workspace_name.as_deref().unwrap_or("-");
    format!(
        "{}\t{}\t{}\t{}",
        escaped(it.subject.as_str()),
        it.state.code(),
        escaped(workspace),
        it.updated_at.map_or_else(|| "-".to_owned(), time)
    )
}

pub(crate) async fn show(
    provider: &NotionAuthProvider,
    options: cli::Subject,
) -> Result<(), BoxError> {
    let subject = Subject::new(options.subject);
    let status = provider
        .status(&subject)
        .await
        .map_err(|error| failed(&error))?;
    let Some(it) = status else {
        return Err(not_connected(&subject));
    };
    if options.output.json {
        return line(&json_of(&it).to_string());
    }
    let text = |text: &Option<String>| text.as_deref().map(escaped);
    for (name, value) in [
        ("subject", Some(escaped(it.subject.as_str()))),
        ("state", Some(it.state.code().to_owned())),
        (
            "token",
            it.invalid_token
                .map(|reason| format!("can't be sent: {reason}")),
        ),
        ("workspace", text(&it.workspace_name)),
        ("workspace id", text(&it.workspace_id)),
        ("account", text(&it.account)),
        ("bot id", text(&it.bot_id)),
        ("connected", it.connected_at.map(time)),
        ("refreshed", it.refreshed_at.map(time)),
        (
            "refreshes",
            Some(it.generation.saturating_sub(1).to_string()),
        ),
    ] {
        if let Some(value) = value {
            line(&format!("{name:<13} {value}"))?;
        }
    }
    Ok(())
}

/// Returns whether the connection works, and fails if that is not known.
pub(crate) async fn check(
    provider: &NotionAuthProvider,
    options: cli::Subject,
) -> Result<bool, BoxError> {
    let subject = Subject::new(options.subject);
    let check = provider.check(&subject).await;
    let (verdict, detail) = match &check.verdict {
        Verdict::Good => ("good", "Notion accepts the access token".to_owned()),
        Verdict::Refused if check.can_refresh => (
            "refused",
            "Notion does not accept the access token; the next request refreshes it".to_owned(),
        ),
        Verdict::Refused => (
            "refused",
            "Notion does not accept the access token, and there is no refresh token: connect again"
                .to_owned(),
        ),
        Verdict::NotConnected => ("not_connected", "no workspace is connected".to_owned()),
        Verdict::NeedsReauthorization(reason) => ("needs_reauthorization", reason.to_string()),
        Verdict::Unknown(error) => ("unknown", chain(error)),
        _ => (
            "unknown",
            "this program does not know the answer".to_owned(),
        ),
    };
    let expires_at = check.expires_at.map(time);
    line(&match options.output.json {
        true => json!({
            "subject": subject.as_str(),
            "verdict": verdict,
            "detail": detail,
            "expires_at": expires_at,
            "can_refresh": check.can_refresh,
        })
        .to_string(),
        false => {
            let expires = expires_at.map_or_else(String::new, |at| format!("; it expires at {at}"));
            format!(
                "{}: {verdict}: {}{expires}",
                escaped(subject.as_str()),
                escaped(&detail)
            )
        }
    })?;
    match check.verdict {
        Verdict::Good => Ok(true),
        // The line says why.
        Verdict::Refused | Verdict::NotConnected | Verdict::NeedsReauthorization(_) => Ok(false),
        _ => Err(format!(
            "{}: the connection is not known to work",
            escaped(subject.as_str())
        )
        .into()),
    }
}

pub(crate) async fn refresh(
    provider: &NotionAuthProvider,
    options: cli::Subject,
) -> Result<(), BoxError> {
    let subject = Subject::new(options.subject);
    let refreshed = provider.refresh(&subject).await;
    // The pair that was obtained is saved before the process ends.
    let saved = provider.shutdown(SAVING).await;
    let refreshed = refreshed.map_err(|error| match error.needs_reauthorization() {
        // The reason's own text is about a refused token, and this one may be good.
        Some(ReauthorizationReason::NoRefreshToken) => format!(
            "{}: can't be refreshed, because there is no refresh token",
            escaped(subject.as_str())
        )
        .into(),
        _ => failed(&error),
    });
    let generation = refreshed?.generation();
    saved.map_err(|error| failed(&error))?;
    line(&match options.output.json {
        true => json!({"subject": subject.as_str(), "generation": generation}).to_string(),
        false => format!("{}: refreshed", escaped(subject.as_str())),
    })
}

/// Time limit for tokens to be saved or revoked at the end of a command.
const SAVING: std::time::Duration = std::time::Duration::from_secs(75);

pub(crate) async fn disconnect(
    provider: &NotionAuthProvider,
    options: cli::Subject,
) -> Result<(), BoxError> {
    let subject = Subject::new(options.subject);
    let ended = provider.disconnect(&subject).await;
    let finished = provider.shutdown(SAVING).await;
    let revocation = ended.map_err(|error| failed(&error))?;
    finished.map_err(|error| failed(&error))?;
    let (outcome, detail) = match &revocation {
        Revocation::Done => (
            "revoked",
            "disconnected, and the tokens are revoked".to_owned(),
        ),
        Revocation::NothingToRevoke => ("nothing", "no workspace was connected".to_owned()),
        Revocation::Failed(error) => (
            "not_revoked",
            format!("disconnected, but the tokens may stay valid at Notion: {error}"),
        ),
        Revocation::Unreadable(error) => (
            "not_revoked",
            format!(
                "disconnected, but the tokens could not be read, and may stay valid: {}",
                chain(error)
            ),
        ),
        _ => ("unknown", "disconnected".to_owned()),
    };
    line(&match options.output.json {
        true => {
            json!({"subject": subject.as_str(), "outcome": outcome, "detail": detail}).to_string()
        }
        false => format!("{}: {}", escaped(subject.as_str()), escaped(&detail)),
    })
}

fn not_connected(subject: &Subject) -> BoxError {
    format!("{}: no workspace is connected", escaped(subject.as_str())).into()
}

fn json_of(it: &ConnectionStatus) -> Value {
    let at = |moment: Option<SystemTime>| moment.map(time);
    json!({
        "subject": it.subject.as_str(),
        "state": it.state.code(),
        "invalid_token": it.invalid_token.map(|reason| reason.to_string()),
        "workspace": {"id": it.workspace_id, "name": it.workspace_name, "icon": it.workspace_icon},
        "account": it.account,
        "bot_id": it.bot_id,
        "generation": it.generation,
        "connected_at": at(it.connected_at),
        "refreshed_at": at(it.refreshed_at),
        "updated_at": at(it.updated_at),
    })
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut line = String::new();
    for error in successors(Some(error), |&error| error.source()) {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line += if line.is_empty() { "" } else { ": " };
            line += &text;
        }
    }
    escaped(&line.replace(FOR_PROGRAMS, FOR_OPERATORS))
}

/// What the library advises for credentials of another issuer, and what can be done about it here.
const FOR_PROGRAMS: &str = "than this provider has (NOTION_CLIENT_ID, NOTION_TOKEN_URL): use that client, or another \
                            namespace; after a migration, call `adopt_other_issuers` on the builder";
const FOR_OPERATORS: &str = "than these settings name (NOTION_CLIENT_ID, NOTION_TOKEN_URL): set those by which the \
                             subject was connected; after a change of the client, disconnect the subject and connect again";

/// An error of the store names its setting.
pub(crate) fn failed(error: &AuthError) -> BoxError {
    let is_of_the_store = successors(Some(error as &(dyn StdError + 'static)), |&it| it.source())
        .any(<dyn StdError>::is::<StoreError>);
    match is_of_the_store {
        true => vault::complaint(error),
        false => chain(error).into(),
    }
}
