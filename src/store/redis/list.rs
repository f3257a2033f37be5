use super::{
    entry::{Entry, bounds},
    failure,
    fields::{self, CLEAR, Fields},
    link::{Answer, commands, exactly, is_of_another_type, understood},
    store::RedisStore,
};
use crate::{
    Subject,
    store::{Filter, RecordKey, StoreError, Summary},
};

/// How many entries are looked at in one go, at least and at most.
pub(super) const FEW: usize = 16;
pub(super) const MANY: usize = 256;

impl RedisStore {
    pub(super) async fn page(
        &self,
        namespace: &str,
        after: Option<&str>,
        limit: usize,
        filter: Filter,
    ) -> Result<Vec<Summary>, StoreError> {
        let (mut from, to) = bounds(&filter, after);
        let mut page = Vec::new();
        while page.len() < limit {
            let wanted = (limit - page.len()).clamp(FEW, MANY);
            let members = self.entries(namespace, &from, &to, wanted).await?;
            let summaries = self.summaries(namespace, &members).await?;
            page.extend(
                summaries
                    .into_iter()
                    .filter(|summary| filter.admits(summary.state, &summary.labels)),
            );
            match members.last() {
                Some(last) if members.len() == wanted => from = behind(last),
                _ => break,
            }
        }
        page.truncate(limit);
        Ok(page)
    }

    /// Members of the namespace's index, between bounds as `ZRANGEBYLEX` takes them.
    pub(super) async fn entries(
        &self,
        namespace: &str,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut commands = commands();
        commands
            .cmd("ZRANGEBYLEX")
            .arg(self.keys.index(namespace))
            .arg(from)
            .arg(to)
            .arg("LIMIT")
            .arg(0)
            .arg(limit);
        let [members] = exactly(self.link.send_repeatable(&commands).await?)?;
        understood(members)
    }

    /// What there is of these, without payloads.
    async fn summaries(
        &self,
        namespace: &str,
        members: &[Vec<u8>],
    ) -> Result<Vec<Summary>, StoreError> {
        let entries: Vec<Entry<'_>> = members
            .iter()
            .filter_map(|member| Entry::parse(member))
            .collect();
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = commands();
        for entry in &entries {
            let key = self.keys.record(namespace, entry.subject);
            commands.cmd("HMGET").arg(&key).arg(&CLEAR);
            commands.cmd("HEXISTS").arg(&key).arg("payload");
        }
        let mut answers = self.link.send_repeatable(&commands).await?.into_iter();
        let mut summaries = Vec::new();
        for entry in entries {
            let clear = answers.next().ok_or_else(failure::strange)?;
            let has_payload = answers.next().ok_or_else(failure::strange)?;
            let key = RecordKey::new(namespace, Subject::new(entry.subject));
            summaries.extend(summary(&key, clear, has_payload)?);
        }
        Ok(summaries)
    }
}

/// The bound after this member.
pub(super) fn behind(member: &[u8]) -> Vec<u8> {
    [b"(", member].concat()
}

/// `None` if there is no record.
fn summary(
    key: &RecordKey,
    clear: Answer,
    has_payload: Answer,
) -> Result<Option<Summary>, StoreError> {
    let subject = key.subject().clone();
    let values: Vec<Option<Vec<u8>>> = match clear {
        Err(error) if is_of_another_type(&error) => {
            return Ok(Some(fields::unreadable(Fields::new(), subject)));
        }
        clear => understood(clear)?,
    };
    let has_payload: bool = understood(has_payload)?;
    let named = CLEAR.iter().zip(values);
    let mut fields: Fields = named
        .filter_map(|(name, value)| Some((name.as_bytes().to_vec(), value?)))
        .collect();
    if fields.is_empty() && !has_payload {
        return Ok(None);
    }
    if has_payload {
        fields.insert(b"payload".to_vec(), Vec::new());
    }
    Ok(Some(match fields::read(fields.clone()) {
        Ok(columns) => columns.into_summary(subject),
        Err(_) => fields::unreadable(fields, subject),
    }))
}
