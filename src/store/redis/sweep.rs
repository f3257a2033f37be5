use std::str;

use super::{
    entry::Entry,
    link::{commands, exactly, understood},
    list::{MANY, behind},
    script::{By, PURGE},
    store::RedisStore,
};
use crate::store::{StoreError, TOMBSTONE_AGE, columns::span};

impl RedisStore {
    pub(super) async fn sweep_all(&self) -> Result<u64, StoreError> {
        let mut commands = commands();
        commands.cmd("SMEMBERS").arg(self.keys.namespaces());
        let [namespaces] = exactly(self.link.send_repeatable(&commands).await?)?;
        let namespaces: Vec<Vec<u8>> = understood(namespaces)?;
        let mut removed = 0;
        for namespace in namespaces {
            if let Ok(namespace) = str::from_utf8(&namespace) {
                removed += self.sweep_namespace(namespace).await?;
            }
        }
        Ok(removed)
    }

    async fn sweep_namespace(&self, namespace: &str) -> Result<u64, StoreError> {
        let mut removed = 0;
        let mut from = b"-".to_vec();
        loop {
            let members = self.entries(namespace, &from, b"+", MANY).await?;
            let entries: Vec<Entry<'_>> = members
                .iter()
                .filter_map(|member| Entry::parse(member))
                .collect();
            let purged = self.purge(namespace, &entries).await?;
            removed += purged.removed;
            let stale = entries.into_iter().zip(purged.holds);
            let stale = stale.filter_map(|(entry, holds)| (!holds).then_some(entry));
            self.forget(namespace, stale.collect()).await?;
            match members.last() {
                Some(last) if members.len() == MANY => from = behind(last),
                _ => return Ok(removed),
            }
        }
    }

    /// Removes these records where they are old tombstones, and says which entries hold of what is left.
    async fn purge(&self, namespace: &str, entries: &[Entry<'_>]) -> Result<Purged, StoreError> {
        let mut purged = Purged::default();
        if entries.is_empty() {
            return Ok(purged);
        }
        let mut commands = commands();
        for (number, entry) in entries.iter().enumerate() {
            // The first makes the script known to the server.
            let by = if number == 0 { By::Text } else { By::Hash };
            let key = self.keys.record(namespace, entry.subject);
            PURGE.call(&mut commands, by, &key).arg(span(TOMBSTONE_AGE));
        }
        let answers = self.link.send_repeatable(&commands).await?;
        for (answer, entry) in answers.into_iter().zip(entries) {
            let (removed, is_there, bot): (u64, u8, Option<Vec<u8>>) = understood(answer)?;
            purged.removed += removed;
            purged.holds.push(match (is_there, entry.bot) {
                (0, _) => false,
                (1, Some(it)) => bot.as_deref() == Some(it.as_bytes()),
                _ => true,
            });
        }
        Ok(purged)
    }

    /// Takes these entries out of the index, and puts those back that have come to hold meanwhile.
    async fn forget(&self, namespace: &str, entries: Vec<Entry<'_>>) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut commands = commands();
        commands.cmd("ZREM").arg(self.keys.index(namespace));
        for entry in &entries {
            commands.arg(entry.member());
        }
        let [forgotten] = exactly(self.link.send_repeatable(&commands).await?)?;
        let _: u64 = understood(forgotten)?;
        let holds = self.purge(namespace, &entries).await?.holds;
        let held = entries.iter().zip(holds).filter(|(_, holds)| *holds);
        let held: Vec<String> = held.map(|(entry, _)| entry.member()).collect();
        self.enter(namespace, &held).await
    }
}

#[derive(Default)]
struct Purged {
    removed: u64,
    /// Of each entry, whether it does.
    holds: Vec<bool>,
}
