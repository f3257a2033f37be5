use std::{
    fmt,
    time::{Duration, SystemTime},
};

use sqlx::{FromRow, Row, postgres::PgRow};

use super::{
    failure::failed,
    health,
    row::{bind, bounded, label},
    statements::{NOW, list},
    store::{NAME, PostgresStore},
    transaction::{Transaction, execute, fetch, statement},
};
use crate::{
    store::{
        CredentialStore, Filter, OnceAnswer, OnceKey, Record, RecordKey, Revision, StoreError,
        Summary,
        columns::{Columns, revision_number, time},
    },
    subject::Subject,
};

/// Bytes of namespace and subject together. An entry of the server's index has 2,704 at most.
const LONGEST_KEY: usize = 2_600;

impl CredentialStore for PostgresStore {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        check(key)?;
        let load = statement(self.tables.statements.load.clone())
            .bind(key.namespace())
            .bind(key.subject().as_str());
        let rows = fetch(&self.pool, load).await?;
        let found = rows.first().map(Found::of).transpose().map_err(failed)?;
        let found = found.ok_or_else(|| failed(sqlx::Error::RowNotFound))?;
        if found.is_standby {
            return Err(health::standby());
        }
        found
            .columns
            .map(|columns| columns.into_record(NAME, key, found.read_at))
            .transpose()
    }

    async fn replace(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &Record,
    ) -> Result<bool, StoreError> {
        check(key)?;
        let statements = &self.tables.statements;
        let sql = match seen {
            Some(_) => &statements.update,
            None => &statements.insert,
        };
        let replace = statement(sql.clone())
            .bind(key.namespace())
            .bind(key.subject().as_str());
        let mut replace = bind(replace, Columns::of(new));
        if let Some(seen) = seen {
            replace = replace.bind(revision_number(seen));
        }
        let done = execute(&self.pool, replace).await?;
        Ok(done == 1)
    }

    async fn now(&self) -> Result<SystemTime, StoreError> {
        let rows = fetch(&self.pool, statement(NOW)).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound);
        let now = row.and_then(|row| row.try_get(0)).map_err(failed)?;
        Ok(time(now))
    }

    async fn once(&self, key: &OnceKey, ttl: Duration) -> Result<OnceAnswer, StoreError> {
        check_text(format_args!("the namespace"), key.namespace())?;
        let once = statement(self.tables.statements.once.clone())
            .bind(key.namespace())
            .bind(&key.digest()[..])
            .bind(bounded(ttl));
        Ok(match execute(&self.pool, once).await? {
            0 => OnceAnswer::Seen,
            _ => OnceAnswer::First,
        })
    }

    async fn list(
        &self,
        namespace: &str,
        after: Option<&str>,
        limit: usize,
        filter: Filter,
    ) -> Result<Vec<Summary>, StoreError> {
        check_text(format_args!("the namespace"), namespace)?;
        check_text(
            format_args!("the subject to begin behind"),
            after.unwrap_or_default(),
        )?;
        let bot = match &filter {
            Filter::Bot(bot) => Some(label(bot)),
            _ => None,
        };
        let list = statement(list(&self.tables.names, &filter))
            .bind(namespace)
            .bind(after)
            .bind(bot)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = fetch(&self.pool, list).await?;
        let summarise = |row: &PgRow| {
            let subject = Subject::new(row.try_get::<String, _>("subject")?);
            Ok(Columns::from_row(row)?.into_summary(subject))
        };
        let page: Result<Vec<_>, sqlx::Error> = rows.iter().map(summarise).collect();
        page.map_err(failed)
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        let statements = &self.tables.statements;
        let mut swept = 0;
        for sql in [&statements.sweep_tombstones, &statements.sweep_marks] {
            let sweep = statement(sql.clone());
            swept += execute(&self.pool, sweep).await?;
        }
        Ok(swept)
    }

    async fn health(&self) -> Result<(), StoreError> {
        let mut transaction = Transaction::begin(&self.pool).await?;
        let checked = health::check(&mut transaction, &self.tables.names, &self.accepted).await;
        transaction.end(checked).await
    }
}

/// What `load` answers.
struct Found {
    is_standby: bool,
    read_at: i64,
    columns: Option<Columns>,
}

impl Found {
    fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        let is_there = row.try_get::<Option<i64>, _>("generation")?.is_some();
        Ok(Self {
            is_standby: row.try_get("is_standby")?,
            read_at: row.try_get("read_at")?,
            columns: is_there.then(|| Columns::from_row(row)).transpose()?,
        })
    }
}

/// Whether the server can keep a record of that name.
fn check(key: &RecordKey) -> Result<(), StoreError> {
    check_text(format_args!("the namespace"), key.namespace())?;
    let subject = key.subject();
    check_text(subject, subject.as_str())?;
    let length = key.namespace().len() + subject.as_str().len();
    if length > LONGEST_KEY {
        return Err(StoreError::misconfigured(
            NAME,
            format!(
                "the name of {subject:?} is too long: with the namespace it has {length} bytes, and at \
                 most {LONGEST_KEY} can be kept"
            ),
        ));
    }
    Ok(())
}

/// Of `what` only the `Debug` is shown, which for a subject is its hash.
fn check_text(what: impl fmt::Debug, text: &str) -> Result<(), StoreError> {
    if text.contains('\0') {
        return Err(StoreError::misconfigured(
            NAME,
            format!(
                "there is a NUL character in {what:?}, which PostgreSQL cannot keep: leave it out"
            ),
        ));
    }
    Ok(())
}
