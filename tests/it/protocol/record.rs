//! Records as tests see them: the JSON of their bytes, with plaintext payloads.

use std::time::{Duration, SystemTime};

use base64::{Engine, prelude::BASE64_STANDARD};
use notion_auth::{
    MemoryStore, NotionUserCredentials, ReauthorizationReason, Subject,
    store::{CredentialStore, RecordBytes, RecordKey, RecordState, Revision, StoredRecord},
};
use serde_json::Value;

#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) lineage: String,
    pub(super) generation: u64,
    pub(super) state: RecordState,
    pub(super) lease: Option<Lease>,
    /// Access token and refresh token, or `None` in a tombstone.
    pub(super) pair: Option<(String, String)>,
    pub(super) payload: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lease {
    pub(super) attempt: String,
    pub(super) ends_at: SystemTime,
    pub(super) in_doubt: bool,
}

impl Record {
    pub(super) fn of(stored: &StoredRecord) -> Self {
        let json: Value = serde_json::from_slice(stored.bytes.as_slice()).unwrap();
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        Self {
            lineage: text("lineage"),
            generation: json["generation"].as_u64().unwrap(),
            state: RecordState::from_code(&text("state")),
            lease: json["lease"].as_object().map(|lease| Lease {
                attempt: lease["attempt"].as_str().unwrap().to_owned(),
                ends_at: SystemTime::UNIX_EPOCH
                    + micros(&lease["since"])
                    + micros(&lease["duration"]),
                in_doubt: lease["in_doubt"].as_bool().unwrap(),
            }),
            pair: pair(&text("payload")),
            payload: text("payload"),
        }
    }

    /// The reason why the user must connect again.
    pub(super) fn reason(&self) -> Option<ReauthorizationReason> {
        match self.state {
            RecordState::NeedsReauthorization(reason) => Some(reason),
            _ => None,
        }
    }
}

fn micros(value: &Value) -> Duration {
    Duration::from_micros(value.as_u64().unwrap())
}

fn pair(payload: &str) -> Option<(String, String)> {
    let payload = BASE64_STANDARD.decode(payload).unwrap();
    let credentials: NotionUserCredentials = serde_json::from_slice(payload.get(1..)?).ok()?;
    Some((
        credentials.access_token.expose().to_owned(),
        credentials.refresh_token?.expose().to_owned(),
    ))
}

pub(super) fn key(subject: &Subject) -> RecordKey {
    RecordKey::new("notion", subject.clone())
}

/// Changes a record in the store, as another process would. `change` receives its JSON and the store's time
/// in microseconds.
pub(super) async fn edit(
    store: &MemoryStore,
    subject: &Subject,
    change: impl FnOnce(&mut Value, u64),
) {
    let loaded = store.load(&key(subject)).await.unwrap();
    let old = loaded.record.unwrap();
    let since = loaded.now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut json: Value = serde_json::from_slice(old.bytes.as_slice()).unwrap();
    change(&mut json, u64::try_from(since.as_micros()).unwrap());
    let new = StoredRecord {
        revision: Revision::from_bytes(fastrand::u64(..).to_be_bytes()),
        state: RecordState::from_code(json["state"].as_str().unwrap()),
        bytes: RecordBytes::new(serde_json::to_vec(&json).unwrap()),
        ..old.clone()
    };
    let key = key(subject);
    let swapped = store.compare_and_swap(&key, Some(old.revision), &new);
    assert!(swapped.await.unwrap());
}
