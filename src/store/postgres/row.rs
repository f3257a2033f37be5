use std::{borrow::Cow, time::Duration};

use sqlx::{FromRow, Row, postgres::PgRow};

use super::transaction::Statement;
use crate::store::{
    Payload,
    columns::{Columns, span},
};

/// Microseconds up to which a time that is computed with floating point is exact: the year 2255.
const LATEST: i64 = 1 << 53;

/// Binds what is beside the key.
pub(super) fn bind(statement: Statement<'_>, columns: Columns) -> Statement<'_> {
    statement
        .bind(columns.generation)
        .bind(columns.revision)
        .bind(columns.state)
        .bind(columns.payload.as_bytes())
        .bind(columns.workspace_name.as_deref().map(label))
        .bind(columns.bot_id.as_deref().map(label))
        .bind(columns.committed_by)
        .bind(columns.claim_attempt)
        .bind(columns.claim_since.map(time))
        .bind(columns.claim_lease)
        .bind(columns.claim_replay)
        .bind(columns.not_before.map(time))
        .bind(time(columns.connected_at))
        .bind(time(columns.updated_at))
        .bind(columns.refreshed_at.map(time))
}

/// The server keeps no NUL in a text. Notion's labels are only shown, and a save must not fail for them.
pub(super) fn label(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// A span to add to the server's time.
pub(super) fn bounded(span_of: Duration) -> i64 {
    time(span(span_of))
}

fn time(micros: i64) -> i64 {
    micros.min(LATEST)
}

impl FromRow<'_, PgRow> for Columns {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            generation: row.try_get("generation")?,
            revision: row.try_get("revision")?,
            state: row.try_get::<String, _>("state")?.into(),
            payload: Payload::from_bytes(row.try_get("payload")?),
            workspace_name: row.try_get("workspace_name")?,
            bot_id: row.try_get("bot_id")?,
            committed_by: row.try_get("committed_by")?,
            claim_attempt: row.try_get("claim_attempt")?,
            claim_since: row.try_get("claim_since")?,
            claim_lease: row.try_get("claim_lease")?,
            claim_replay: row.try_get("claim_replay")?,
            not_before: row.try_get("not_before")?,
            connected_at: row.try_get("connected_at")?,
            updated_at: row.try_get("updated_at")?,
            refreshed_at: row.try_get("refreshed_at")?,
        })
    }
}
