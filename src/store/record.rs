//! A record of a subject, and its encoding.
//!
//! The encoding is JSON. Times are microseconds since 1970, UTC; durations are microseconds; random IDs are
//! hexadecimal; the payload is base64. Unknown members are ignored. A change that older versions must not
//! ignore raises `oldest_reader`.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    contract::{RecordBytes, RecordState, Revision, StoredRecord},
    payload::{Payload, UnreadableReason},
};
use crate::{credentials::NotionUserCredentials, json::to_exact_vec, random::random_bytes};

/// The format that this version writes.
const FORMAT: u32 = 1;

/// The record of one subject. Times are the store's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) lineage: Lineage,
    /// The lineage that a reconnect replaced by this one.
    pub(crate) replaced_lineage: Option<Lineage>,
    pub(crate) generation: u64,
    #[serde(with = "state_code")]
    pub(crate) state: RecordState,
    pub(crate) issuer: Issuer,
    /// The credentials. Empty in a tombstone.
    pub(crate) payload: Payload,
    pub(crate) lease: Option<Lease>,
    /// No attempt may start a refresh before this time.
    #[serde(with = "optional_micros")]
    pub(crate) back_off_until: Option<SystemTime>,
    /// Number of consecutive generations that were refused soon after their creation.
    pub(crate) streak: u32,
    /// The attempt that created, invalidated or reinstated this generation.
    pub(crate) committed_by: AttemptId,
    #[serde(with = "micros")]
    pub(crate) connected_at: SystemTime,
    #[serde(with = "optional_micros")]
    pub(crate) refreshed_at: Option<SystemTime>,
    /// Time of the last change of generation or state.
    #[serde(with = "micros")]
    pub(crate) updated_at: SystemTime,
    pub(crate) metadata: Metadata,
}

impl Record {
    pub(crate) fn fence(&self) -> FencingToken {
        FencingToken {
            lineage: self.lineage,
            generation: self.generation,
        }
    }

    /// Returns the time at which the current generation was created.
    pub(crate) fn generation_made_at(&self) -> SystemTime {
        self.refreshed_at.unwrap_or(self.connected_at)
    }

    /// Encodes the record, with a new revision.
    #[expect(
        clippy::expect_used,
        reason = "an unwritten record would lose credentials"
    )]
    pub(super) fn encode(&self) -> StoredRecord {
        let envelope = Envelope {
            format: FORMAT,
            oldest_reader: FORMAT,
            record: self,
        };
        let bytes = to_exact_vec(&[], &envelope);
        StoredRecord {
            revision: Revision::random(),
            state: self.state,
            bot_id: self.metadata.bot_id.clone(),
            updated_at: self.updated_at,
            bytes: RecordBytes::from_wiped(bytes.expect("a record is writable as JSON")),
        }
    }

    pub(super) fn decode(bytes: &RecordBytes) -> Result<Self, UnreadableReason> {
        let head: Head =
            serde_json::from_slice(bytes.as_slice()).map_err(|_| UnreadableReason::Damaged)?;
        if head.oldest_reader > FORMAT {
            return Err(UnreadableReason::NewerFormat(head.format));
        }
        serde_json::from_slice(bytes.as_slice()).map_err(|_| UnreadableReason::Damaged)
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    format: u32,
    /// The oldest format whose readers can read this record.
    oldest_reader: u32,
    #[serde(flatten)]
    record: &'a Record,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
    oldest_reader: u32,
}

/// ID of one grant: 128 random bits, new for each connect and reconnect.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lineage([u8; 16]);

/// Fencing token: identifies the credentials that a change applies to. A change with another token is
/// refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FencingToken {
    pub(crate) lineage: Lineage,
    pub(crate) generation: u64,
}

impl FencingToken {
    /// Returns the fencing token of the next generation.
    pub(crate) fn next(self) -> Self {
        Self {
            generation: self.generation.saturating_add(1),
            ..self
        }
    }
}

/// ID of one attempt to change a record: 128 random bits.
///
/// Changes are idempotent by this ID: repeating a change of the same attempt reports it as done.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AttemptId([u8; 16]);

macro_rules! random_id {
    ($name:ident) => {
        impl $name {
            pub(crate) fn random() -> Self {
                Self(random_bytes())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", u128::from_be_bytes(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            /// Parses 32 hexadecimal digits, as `Display` writes them.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let is_hexadecimal =
                    text.len() == 32 && text.bytes().all(|it| it.is_ascii_hexdigit());
                let number = u128::from_str_radix(text, 16)
                    .ok()
                    .filter(|_| is_hexadecimal);
                number.map(|it| Self(it.to_be_bytes())).ok_or(InvalidId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

random_id!(Lineage);

impl Lineage {
    /// Returns the first 64 bits, which distinguish lineages in memory.
    pub(crate) fn first_bits(self) -> u64 {
        // The upper half of 128 bits.
        (u128::from_be_bytes(self.0) >> 64) as u64
    }
}

random_id!(AttemptId);

/// Error of text that is not 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 hexadecimal digits")]
#[non_exhaustive]
pub struct InvalidId;

/// The OAuth client and the token server that issued the credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Issuer {
    pub(crate) client_id: String,
    /// Scheme, host and port of the token URL.
    pub(crate) token_origin: String,
}

/// The refresh lease: an attempt is about to spend the refresh token of this generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) attempt: AttemptId,
    /// Time at which it was acquired or last renewed.
    #[serde(with = "micros")]
    pub(crate) since: SystemTime,
    #[serde(with = "duration_micros")]
    pub(crate) duration: Duration,
    /// Whether this attempt, or an earlier one, may have spent the token.
    pub(crate) in_doubt: bool,
}

/// Metadata of a connection for lists, stored as plaintext next to the payload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) workspace_id: Option<String>,
    pub(crate) workspace_name: Option<String>,
    pub(crate) workspace_icon: Option<String>,
    pub(crate) bot_id: Option<String>,
}

impl Metadata {
    pub(crate) fn of(credentials: &NotionUserCredentials) -> Self {
        Self {
            workspace_id: credentials.workspace_id.clone(),
            workspace_name: credentials.workspace_name.clone(),
            workspace_icon: credentials.icon_to_store().map(str::to_owned),
            bot_id: credentials.bot_id().map(str::to_owned),
        }
    }
}

/// Converts a time to microseconds since 1970, UTC. Earlier times yield 0.
pub(super) fn to_micros(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    duration_to_micros(since.unwrap_or_default())
}

/// Converts microseconds since 1970, UTC, to a time.
pub(super) fn from_micros(micros: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

pub(super) fn duration_to_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

mod state_code {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        state: &RecordState,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(state.code())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<RecordState, D::Error> {
        match RecordState::from_code(&String::deserialize(deserializer)?) {
            RecordState::Unreadable => Err(de::Error::custom("unknown state")),
            state => Ok(state),
        }
    }
}

mod micros {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        time: &SystemTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(to_micros(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        i64::deserialize(deserializer).map(from_micros)
    }
}

mod optional_micros {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        time: &Option<SystemTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(to_micros).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(from_micros))
    }
}

mod duration_micros {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(duration_to_micros(*duration))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}
