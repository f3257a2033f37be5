use std::collections::HashMap;

use crate::{
    credentials::ReauthorizationReason,
    store::{
        Labels, Payload, RecordState, Summary,
        columns::{Columns, time},
    },
    subject::Subject,
};

/// Which fields there are, and what they mean. `purge.lua` knows it, too.
const SCHEMA: i64 = 1;

/// The fields that are listed: all but the payload.
pub(super) const CLEAR: [&str; 15] = [
    "v",
    "generation",
    "revision",
    "state",
    "workspace_name",
    "bot_id",
    "committed_by",
    "claim_attempt",
    "claim_since",
    "claim_lease",
    "claim_replay",
    "not_before",
    "connected_at",
    "updated_at",
    "refreshed_at",
];

/// A record's fields and their values: text, but for the payload and the names of attempts.
pub(super) type Fields = HashMap<Vec<u8>, Vec<u8>>;

/// Why fields are no record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Damage {
    /// A newer version of this crate has written them.
    Newer,
    /// This one is missing, or not what it must be.
    Field(&'static str),
}

/// The fields that the record has, and the names of those that it does not have.
pub(super) fn written(columns: Columns) -> (Vec<(&'static str, Vec<u8>)>, Vec<&'static str>) {
    let number = |number: i64| Some(number.to_string().into_bytes());
    let replay = i64::from(columns.claim_replay);
    let all = [
        ("v", number(SCHEMA)),
        ("generation", number(columns.generation)),
        ("revision", number(columns.revision)),
        ("state", Some(columns.state.as_bytes().to_vec())),
        ("payload", Some(columns.payload.as_bytes().to_vec())),
        (
            "workspace_name",
            columns.workspace_name.map(String::into_bytes),
        ),
        ("bot_id", columns.bot_id.map(String::into_bytes)),
        ("committed_by", Some(columns.committed_by)),
        ("claim_attempt", columns.claim_attempt),
        ("claim_since", columns.claim_since.and_then(number)),
        ("claim_lease", columns.claim_lease.and_then(number)),
        ("claim_replay", number(replay)),
        ("not_before", columns.not_before.and_then(number)),
        ("connected_at", number(columns.connected_at)),
        ("updated_at", number(columns.updated_at)),
        ("refreshed_at", columns.refreshed_at.and_then(number)),
    ];
    let (mut present, mut absent) = (Vec::new(), Vec::new());
    for (name, value) in all {
        match value {
            Some(value) => present.push((name, value)),
            None => absent.push(name),
        }
    }
    (present, absent)
}

pub(super) fn read(fields: Fields) -> Result<Columns, Damage> {
    let mut reader = Reader(fields);
    match reader.number("v")? {
        SCHEMA => {}
        version if version > SCHEMA => return Err(Damage::Newer),
        _ => return Err(Damage::Field("v")),
    }
    Ok(Columns {
        generation: reader.number("generation")?,
        revision: reader.number("revision")?,
        state: reader.required("state", Reader::text)?.into(),
        payload: Payload::from_bytes(reader.required("payload", Reader::bytes)?),
        workspace_name: reader.text("workspace_name")?,
        bot_id: reader.text("bot_id")?,
        committed_by: reader.required("committed_by", Reader::bytes)?,
        claim_attempt: reader.bytes("claim_attempt")?,
        claim_since: reader.optional("claim_since")?,
        claim_lease: reader.optional("claim_lease")?,
        claim_replay: reader.number("claim_replay")? != 0,
        not_before: reader.optional("not_before")?,
        connected_at: reader.number("connected_at")?,
        updated_at: reader.number("updated_at")?,
        refreshed_at: reader.optional("refreshed_at")?,
    })
}

/// What is listed of fields that are no record.
pub(super) fn unreadable(fields: Fields, subject: Subject) -> Summary {
    let mut reader = Reader(fields);
    Summary {
        subject,
        generation: reader.number("generation").map_or(0, i64::unsigned_abs),
        state: RecordState::NeedsReauthorization(ReauthorizationReason::Unreadable),
        labels: Labels {
            workspace_name: reader.text("workspace_name").unwrap_or_default(),
            bot_id: reader.text("bot_id").unwrap_or_default(),
        },
        connected_at: time(reader.number("connected_at").unwrap_or_default()),
        updated_at: time(reader.number("updated_at").unwrap_or_default()),
        refreshed_at: reader
            .optional("refreshed_at")
            .unwrap_or_default()
            .map(time),
    }
}

struct Reader(Fields);

impl Reader {
    fn bytes(&mut self, name: &'static str) -> Result<Option<Vec<u8>>, Damage> {
        Ok(self.0.remove(name.as_bytes()))
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, Damage> {
        let text = self.bytes(name)?.map(String::from_utf8).transpose();
        text.map_err(|_| Damage::Field(name))
    }

    fn optional(&mut self, name: &'static str) -> Result<Option<i64>, Damage> {
        let number = self.text(name)?.map(|text| text.parse()).transpose();
        number.map_err(|_| Damage::Field(name))
    }

    fn number(&mut self, name: &'static str) -> Result<i64, Damage> {
        self.required(name, Self::optional)
    }

    fn required<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&mut Self, &'static str) -> Result<Option<T>, Damage>,
    ) -> Result<T, Damage> {
        read(self, name)?.ok_or(Damage::Field(name))
    }
}
