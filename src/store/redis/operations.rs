use std::time::{Duration, SystemTime};

use redis::{Pipeline, Value};

use super::{
    entry::Entry,
    failure,
    fields::{self, Damage, Fields},
    link::{Answer, commands, exactly, is_of_another_type, understood},
    script::{LOAD, REPLACE, WAYS, is_unknown},
    store::{NAME, RedisStore},
};
use crate::store::{
    CredentialStore, Filter, OnceAnswer, OnceKey, Record, RecordKey, Revision, StoreError, Summary,
    columns::{Columns, damaged, revision_number, time},
};

/// A hundred years, in milliseconds: Redis has no room for a mark that is to live for ever.
const LONGEST_MARK: u128 = 100 * 365 * 24 * 60 * 60 * 1_000;

impl CredentialStore for RedisStore {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let loaded = self.run_load(&self.keys.record_of(key)).await?;
        let (is_primary, seconds, micros, found): (bool, i64, i64, Fields) = match loaded {
            Err(error) if is_of_another_type(&error) => {
                return Err(foreign(key).with_source(error));
            }
            loaded => understood(loaded)?,
        };
        if !is_primary {
            return Err(StoreError::unavailable(NAME, failure::REPLICA));
        }
        if found.is_empty() {
            return Ok(None);
        }
        let columns = fields::read(found).map_err(|damage| match damage {
            Damage::Newer => newer(key),
            Damage::Field(field) => damaged(NAME, key, field),
        })?;
        columns
            .into_record(NAME, key, clock(seconds, micros))
            .map(Some)
    }

    async fn replace(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &Record,
    ) -> Result<bool, StoreError> {
        let subject = key.subject().as_str();
        let bot = new.labels.bot_id.as_deref();
        let mut entries = vec![Entry { subject, bot: None }.member()];
        if bot.is_some() {
            entries.push(Entry { subject, bot }.member());
        }
        self.enter(key.namespace(), &entries).await?;
        let seen = seen.map(|seen| revision_number(seen).to_string());
        let (present, absent) = fields::written(Columns::of(new));
        for by in WAYS {
            let mut commands = commands();
            REPLACE
                .call(&mut commands, by, &self.keys.record_of(key))
                .arg(seen.as_deref().unwrap_or_default())
                .arg(absent.len())
                .arg(&absent);
            for (name, value) in &present {
                commands.arg(name).arg(value);
            }
            self.add_entries(&mut commands, key.namespace(), &entries);
            // Sent once: of a change that was already made, a second try would say that it was not.
            let [replaced, _] = exactly(self.link.send(&commands).await?)?;
            match replaced {
                Err(error) if is_unknown(&error) => {}
                replaced => return understood(replaced),
            }
        }
        Err(failure::strange())
    }

    async fn now(&self) -> Result<SystemTime, StoreError> {
        let mut commands = commands();
        commands.cmd("TIME");
        let [now] = exactly(self.link.send_repeatable(&commands).await?)?;
        let (seconds, micros) = understood(now)?;
        Ok(time(clock(seconds, micros)))
    }

    async fn once(&self, key: &OnceKey, ttl: Duration) -> Result<OnceAnswer, StoreError> {
        let mut commands = commands();
        commands
            .cmd("SET")
            .arg(self.keys.mark(key))
            .arg(1)
            .arg("NX");
        let ttl = ttl.as_millis().clamp(1, LONGEST_MARK).to_string();
        commands.arg("PX").arg(ttl);
        let [set] = exactly(self.link.send(&commands).await?)?;
        match understood(set)? {
            Value::Okay => Ok(OnceAnswer::First),
            Value::Nil => Ok(OnceAnswer::Seen),
            _ => Err(failure::strange()),
        }
    }

    async fn list(
        &self,
        namespace: &str,
        after: Option<&str>,
        limit: usize,
        filter: Filter,
    ) -> Result<Vec<Summary>, StoreError> {
        self.page(namespace, after, limit, filter).await
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        self.sweep_all().await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.check().await
    }
}

impl RedisStore {
    async fn run_load(&self, record: &str) -> Result<Answer, StoreError> {
        for by in WAYS {
            let mut commands = commands();
            LOAD.call(&mut commands, by, record);
            let [loaded] = exactly(self.link.send_repeatable(&commands).await?)?;
            match loaded {
                Err(error) if is_unknown(&error) => {}
                loaded => return Ok(loaded),
            }
        }
        Err(failure::strange())
    }

    /// Notes that there are these entries in the namespace.
    pub(super) async fn enter(
        &self,
        namespace: &str,
        entries: &[String],
    ) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut commands = commands();
        commands
            .cmd("SADD")
            .arg(self.keys.namespaces())
            .arg(namespace);
        self.add_entries(&mut commands, namespace, entries);
        let [known, entered] = exactly(self.link.send_repeatable(&commands).await?)?;
        let _: u64 = understood(known)?;
        let _: u64 = understood(entered)?;
        Ok(())
    }

    fn add_entries(&self, commands: &mut Pipeline, namespace: &str, entries: &[String]) {
        commands.cmd("ZADD").arg(self.keys.index(namespace));
        for entry in entries {
            commands.arg(0).arg(entry);
        }
    }
}

/// Microseconds since 1970, UTC.
fn clock(seconds: i64, micros: i64) -> i64 {
    seconds.saturating_mul(1_000_000).saturating_add(micros)
}

fn foreign(key: &RecordKey) -> StoreError {
    let subject = key.subject();
    StoreError::corrupt(
        NAME,
        format!(
            "the key of {subject:?} is of another type, and so another application's: give the store a \
             prefix of its own, or remove that key"
        ),
    )
}

fn newer(key: &RecordKey) -> StoreError {
    let subject = key.subject();
    StoreError::corrupt(
        NAME,
        format!(
            "the record of {subject:?} was written by a newer version of this crate: upgrade this \
             process too"
        ),
    )
}
