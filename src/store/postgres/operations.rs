use std::{borrow::Cow, fmt, time::Duration};

use async_trait::async_trait;
use sqlx::{Row, postgres::PgRow};

use super::{
    failure::{NAME, failed},
    health,
    store::PostgresStore,
    transaction::{Transaction, execute, fetch, statement},
};
use crate::{
    store::{
        CredentialStore, Filter, ListQuery, Listed, Loaded, Nonce, RecordBytes, RecordKey,
        RecordState, Revision, StoreError, StoredRecord, TOMBSTONE_AGE,
        record::{duration_to_micros, from_micros, to_micros},
    },
    subject::Subject,
};

// `$n * interval '1 microsecond'` is computed with floating point, see `LATEST`; `extract` is exact.

/// Returns exactly one row.
const LOAD: &str = "\
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now, revision, state, bot_id, \
           (extract(epoch FROM updated_at) * 1000000)::bigint AS updated_at, bytes \
    FROM (VALUES (1)) AS one LEFT JOIN notion_auth_credentials ON namespace = $1 AND subject = $2";

const INSERT: &str = "\
    INSERT INTO notion_auth_credentials (namespace, subject, revision, state, bot_id, updated_at, bytes) \
    VALUES ($1, $2, $3, $4, $5, timestamptz 'epoch' + $6 * interval '1 microsecond', $7) \
    ON CONFLICT DO NOTHING";

const UPDATE: &str = "\
    UPDATE notion_auth_credentials \
    SET revision = $3, state = $4, bot_id = $5, \
        updated_at = timestamptz 'epoch' + $6 * interval '1 microsecond', bytes = $7 \
    WHERE namespace = $1 AND subject = $2 AND revision = $8";

const CONSUME_NONCE: &str = "\
    INSERT INTO notion_auth_nonces AS nonce (namespace, digest, ends_at) \
    VALUES ($1, $2, clock_timestamp() + $3 * interval '1 microsecond') \
    ON CONFLICT (namespace, digest) DO UPDATE SET ends_at = excluded.ends_at \
    WHERE nonce.ends_at <= clock_timestamp()";

const LIST: &str = "\
    SELECT subject, revision, state, bot_id, \
           (extract(epoch FROM updated_at) * 1000000)::bigint AS updated_at, bytes \
    FROM notion_auth_credentials \
    WHERE namespace = $1 AND subject >= $2 AND starts_with(subject, $2) \
    AND ($3::text IS NULL OR subject > $3) \
    AND CASE $4 WHEN 'all' THEN TRUE WHEN 'bot' THEN bot_id = $5 \
        WHEN 'needs reauthorization' THEN state IN ('revoked', 'rotation_lost', 'no_refresh_token', 'expired') \
        ELSE state = $4 END \
    ORDER BY subject LIMIT $6";

const PURGE: &str = "\
    WITH tombstones AS ( \
        DELETE FROM notion_auth_credentials WHERE state = 'disconnected' \
        AND updated_at <= now() - $1 * interval '1 microsecond' RETURNING 1 \
    ), nonces AS ( \
        DELETE FROM notion_auth_nonces WHERE ends_at <= now() RETURNING 1 \
    ) SELECT (SELECT count(*) FROM tombstones) + (SELECT count(*) FROM nonces)";

/// Largest number of microseconds that is exact as a floating-point number: the year 2255.
const LATEST: i64 = 1 << 53;

/// Maximum size of namespace and subject together, in bytes. An index entry of the server has at most
/// 2,704.
const LONGEST_KEY: usize = 2_600;

#[async_trait]
impl CredentialStore for PostgresStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        Self::migrate(self).await
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        check_key(key)?;
        let load = statement(LOAD)
            .bind(key.namespace())
            .bind(key.subject().as_str());
        let rows = fetch(&self.connections, load).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound);
        row.and_then(loaded).map_err(failed)
    }

    async fn compare_and_swap(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &StoredRecord,
    ) -> Result<bool, StoreError> {
        check_key(key)?;
        let mut swap = statement(if seen.is_some() { UPDATE } else { INSERT })
            .bind(key.namespace())
            .bind(key.subject().as_str())
            .bind(new.revision.to_i64())
            .bind(new.state.code())
            .bind(new.bot_id.as_deref().map(without_nul))
            .bind(to_micros(new.updated_at).min(LATEST))
            .bind(new.bytes.as_slice());
        if let Some(seen) = seen {
            swap = swap.bind(seen.to_i64());
        }
        Ok(execute(&self.connections, swap).await? == 1)
    }

    async fn consume_nonce(&self, nonce: &Nonce, lifetime: Duration) -> Result<bool, StoreError> {
        check_text("the namespace", nonce.namespace())?;
        let consume = statement(CONSUME_NONCE)
            .bind(nonce.namespace())
            .bind(&nonce.digest()[..])
            .bind(duration_to_micros(lifetime).min(LATEST));
        Ok(execute(&self.connections, consume).await? == 1)
    }

    async fn list(&self, namespace: &str, query: &ListQuery) -> Result<Vec<Listed>, StoreError> {
        let after = query.after.as_ref().map(Subject::as_str);
        check_text("the namespace", namespace)?;
        check_text_of_one(format_args!("`prefix`"), &query.prefix)?;
        check_text_of_one(format_args!("`after`"), after.unwrap_or_default())?;
        let (filter, bot) = match &query.filter {
            Filter::All => ("all", None),
            Filter::Active => ("active", None),
            Filter::NeedsReauthorization => ("needs reauthorization", None),
            Filter::Disconnected => ("disconnected", None),
            Filter::Bot(bot) => ("bot", Some(without_nul(bot))),
        };
        let list = statement(LIST)
            .bind(namespace)
            .bind(&query.prefix)
            .bind(after)
            .bind(filter)
            .bind(bot)
            .bind(i64::try_from(query.limit).unwrap_or(i64::MAX));
        let rows = fetch(&self.connections, list).await?;
        let listed = rows.iter().map(|row| {
            Ok(Listed {
                subject: Subject::new(row.try_get::<String, _>("subject")?),
                record: stored(row, row.try_get("revision")?)?,
            })
        });
        listed.collect::<Result<_, sqlx::Error>>().map_err(failed)
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        let purge = statement(PURGE).bind(duration_to_micros(TOMBSTONE_AGE));
        let rows = fetch(&self.connections, purge).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound);
        let purged: i64 = row.and_then(|row| row.try_get(0)).map_err(failed)?;
        Ok(u64::try_from(purged).unwrap_or_default())
    }

    async fn health(&self) -> Result<(), StoreError> {
        let mut transaction = Transaction::begin(&self.connections).await?;
        health::check(&mut transaction, &self.accepted).await?;
        transaction.commit().await
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

fn loaded(row: &PgRow) -> Result<Loaded, sqlx::Error> {
    let revision = row.try_get::<Option<i64>, _>("revision")?;
    Ok(Loaded {
        record: revision.map(|it| stored(row, it)).transpose()?,
        now: from_micros(row.try_get("now")?),
    })
}

fn stored(row: &PgRow, revision: i64) -> Result<StoredRecord, sqlx::Error> {
    Ok(StoredRecord {
        revision: Revision::from_i64(revision),
        state: RecordState::from_code(row.try_get("state")?),
        bot_id: row.try_get("bot_id")?,
        updated_at: from_micros(row.try_get("updated_at")?),
        bytes: RecordBytes::new(row.try_get("bytes")?),
    })
}

/// Removes NUL characters, which the server cannot store. A bot ID is only used for filters and must not
/// prevent a save.
fn without_nul(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// Checks that the server can store a record with this key.
fn check_key(key: &RecordKey) -> Result<(), StoreError> {
    let subject = key.subject();
    check_text("the namespace", key.namespace())?;
    check_text_of_one(subject, subject.as_str())?;
    let length = key.namespace().len() + subject.as_str().len();
    if length > LONGEST_KEY {
        return Err(StoreError::rejected(
            NAME,
            format!(
                "{subject:?} is too long: with the namespace it has {length} bytes, and PostgreSQL's index \
                 takes {LONGEST_KEY}. Use a shorter Subject"
            ),
        ));
    }
    Ok(())
}

/// Checks that a text can be kept that all operations need.
fn check_text(what: &str, text: &str) -> Result<(), StoreError> {
    match text.contains('\0') {
        true => Err(StoreError::misconfigured(NAME, nul(format_args!("{what}")))),
        false => Ok(()),
    }
}

/// Checks that a text of one subject can be kept. Of `what` only the `Debug` is shown, which for a subject is its digest.
fn check_text_of_one(what: impl fmt::Debug, text: &str) -> Result<(), StoreError> {
    match text.contains('\0') {
        true => Err(StoreError::rejected(NAME, nul(what))),
        false => Ok(()),
    }
}

fn nul(what: impl fmt::Debug) -> String {
    format!("there is a NUL character in {what:?}, which PostgreSQL cannot keep: leave it out")
}
