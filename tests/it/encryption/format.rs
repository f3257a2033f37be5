//! The format of records: stored records stay readable, and those of a newer version are not changed.
//!
//! The fixtures' payloads were made by another implementation of HKDF (RFC 5869) and XChaCha20-Poly1305 with the key
//! 0707…, for namespace `notion` and subject `ann`.

use std::time::{Duration, UNIX_EPOCH};

use notion_auth::{
    ReauthorizationReason,
    provider::{Failpoint, Revocation},
    store::{Filter, ListQuery, RecordBytes, RecordState, StoredRecord},
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};
use serde_json::{Value, json};

use super::setup::{Setup, chain, keyring, unreadable};
use crate::support::{record_json, record_key, record_of, status, write_record};

const LEASED: &str = include_str!("../fixtures/records/leased.json");
const BACKING_OFF: &str = include_str!("../fixtures/records/backing_off.json");
const REVOKED: &str = include_str!("../fixtures/records/revoked.json");
const DISCONNECTED: &str = include_str!("../fixtures/records/disconnected.json");

/// A setup with the OAuth client that the fixtures' credentials were issued to.
fn setup() -> Setup {
    let notion = MockNotion::builder().client_id("format-client");
    Setup::on(notion.in_process(), |it| it.keys(keyring(&[7])))
}

/// Returns a fixture as a store contains it.
fn stored(fixture: &str) -> StoredRecord {
    StoredRecord {
        bytes: RecordBytes::new(fixture.trim_end().as_bytes().to_vec()),
        ..record_of(&serde_json::from_str(fixture).unwrap())
    }
}

/// Returns an active record with these bytes.
fn stored_bytes(bytes: &str) -> StoredRecord {
    StoredRecord {
        bytes: RecordBytes::new(bytes.as_bytes().to_vec()),
        ..stored(LEASED)
    }
}

/// Writes each kind of record through a provider, named as the fixtures are.
async fn written() -> [(&'static str, StoredRecord); 4] {
    let second = Duration::from_secs(1);

    // A refresh that stopped after it acquired the lease, of a connection that was replaced once and
    // refreshed.
    let leased = setup();
    leased.world.connect("ann").await;
    leased.world.clock.advance(second);
    leased.world.connect("ann").await;
    leased.world.clock.advance(60 * second);
    let provider = &leased.world.provider;
    provider.refresh(&"ann".into()).await.unwrap();
    leased.world.clock.advance(3600 * second);
    let stopping = leased.build(|it| {
        it.keys(keyring(&[7])).failpoint(async |at| {
            if at == Failpoint::Leased {
                std::future::pending::<()>().await;
            }
        })
    });
    stopping.refresh(&"ann".into()).await.unwrap_err();

    // A generation that was refused once, and whose refresh was rate limited.
    let backing_off = setup();
    let credentials = backing_off.world.connect("ann").await;
    let world = &backing_off.world;
    world.clock.advance(second);
    let token = credentials.access_token.expose();
    world.notion.revoke_access_token(token);
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    world.clock.advance(9 * second);
    let limited = Fault::RateLimited {
        retry_after: Some(60),
    };
    world.notion.script(Call::Refresh, [limited]);
    world.provider.refresh(&"ann".into()).await.unwrap_err();

    let revoked = setup();
    let credentials = revoked.world.connect("ann").await;
    let world = &revoked.world;
    world.clock.advance(second);
    world.notion.revoke_grant(credentials.access_token.expose());
    world.provider.refresh(&"ann".into()).await.unwrap_err();

    let disconnected = setup();
    let world = &disconnected.world;
    world.connect("ann").await;
    world.clock.advance(second);
    world.provider.disconnect(&"ann".into()).await.unwrap();

    [
        (LEASED, leased.stored("ann").await),
        (BACKING_OFF, backing_off.stored("ann").await),
        (REVOKED, revoked.stored("ann").await),
        (DISCONNECTED, disconnected.stored("ann").await),
    ]
}

/// Returns the record's text, with the fixture's random IDs and credentials.
fn with_values_of(fixture: &Value, record: &StoredRecord) -> String {
    let mut text = String::from_utf8(record.bytes.as_slice().to_vec()).unwrap();
    let json = record_json(record);
    for pointer in [
        "/lineage",
        "/replaced_lineage",
        "/payload",
        "/lease/attempt",
        "/committed_by",
        "/metadata/workspace_id",
        "/metadata/workspace_name",
        "/metadata/workspace_icon",
        "/metadata/bot_id",
    ] {
        let (Some(from), Some(to)) = (json.pointer(pointer), fixture.pointer(pointer)) else {
            continue;
        };
        let name = pointer.rsplit('/').next().unwrap_or_default();
        text = text.replacen(
            &format!("\"{name}\":{from}"),
            &format!("\"{name}\":{to}"),
            1,
        );
    }
    text
}

#[tokio::test(start_paused = true)]
async fn records_are_written_byte_for_byte_as_in_the_fixtures() {
    for (fixture, record) in written().await {
        let json: Value = serde_json::from_str(fixture).unwrap();
        assert_eq!(with_values_of(&json, &record), fixture.trim_end());
        // Random IDs are written in the same form as they are read.
        let random_id = |name: &str| record_json(&record)[name].as_str().map(str::len);
        assert_eq!(random_id("lineage"), Some(32));
        assert_eq!(random_id("committed_by"), Some(32));
        // The columns for filters.
        let expected = record_of(&json);
        assert_eq!(record.state, expected.state);
        assert_eq!(record.updated_at, expected.updated_at);
        assert_eq!(record.bot_id.is_some(), expected.bot_id.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn records_of_the_fixtures_are_read() {
    let setup = setup();
    let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds);
    let write = async |json| {
        write_record(&setup.world.store, &record_key("ann"), &stored(json)).await;
        let status = setup.world.provider.status(&"ann".into()).await.unwrap();
        let read = setup.world.provider.load_credentials(&"ann".into()).await;
        (status, read.unwrap())
    };

    for (json, connected_at, refreshed_at) in [(LEASED, at(1), at(61)), (BACKING_OFF, at(0), at(1))]
    {
        let (status, read) = write(json).await;
        let (status, read) = (status.unwrap(), read.unwrap());
        assert_eq!(read.access_token.expose(), "ntn_golden");
        assert_eq!(read.refresh_token.unwrap().expose(), "nrt_golden");
        assert_eq!(read.raw["bot_id"], "b1");
        assert_eq!(status.state, RecordState::Active);
        let lineage = status.lineage.unwrap().to_string();
        assert_eq!(lineage, "000102030405060708090a0b0c0d0e0f");
        assert_eq!(status.generation, 2);
        assert_eq!(status.connected_at, Some(connected_at));
        assert_eq!(status.refreshed_at, Some(refreshed_at));
        assert_eq!(status.updated_at, Some(refreshed_at));
        let name = "Ann's \"W\u{f6}rkspace\" \u{1f4c4}";
        assert_eq!(status.workspace_name.as_deref(), Some(name));
        assert_eq!(status.workspace_icon.as_deref(), Some("\u{1f4c4}"));
        assert_eq!(status.workspace_id.as_deref(), Some("w1"));
        assert_eq!(status.bot_id.as_deref(), Some("b1"));
    }
    let (status, read) = write(REVOKED).await;
    let revoked = RecordState::NeedsReauthorization(ReauthorizationReason::Revoked);
    assert_eq!(status.unwrap().state, revoked);
    assert_eq!(read.map(drop), None);
    let (status, read) = write(DISCONNECTED).await;
    assert_eq!((status, read.map(drop)), (None, None));
}

#[tokio::test(start_paused = true)]
async fn lease_and_back_off_of_the_fixtures_hold() {
    // Neither has expired at these times.
    for (json, age) in [(LEASED, 3670), (BACKING_OFF, 20)] {
        let setup = setup();
        setup.world.clock.advance(Duration::from_secs(age));
        write_record(&setup.world.store, &record_key("ann"), &stored(json)).await;
        let refused = setup.world.provider.refresh(&"ann".into()).await;
        let refused = refused.unwrap_err();
        assert!(refused.is_transient(), "{refused}");
        assert!(setup.world.notion.ledger().refreshes().is_empty());
    }
}

/// Returns the fixture as a later version may write it.
fn of_a_later_version(oldest_reader: u32) -> StoredRecord {
    let mut json: Value = serde_json::from_str(LEASED).unwrap();
    json["format"] = json!(2);
    json["oldest_reader"] = json!(oldest_reader);
    json["lease"] = Value::Null;
    json["added"] = json!({ "by": "a later version" });
    record_of(&json)
}

#[tokio::test(start_paused = true)]
async fn members_of_a_later_version_are_ignored() {
    let setup = setup();
    let record = of_a_later_version(1);
    write_record(&setup.world.store, &record_key("ann"), &record).await;
    let provider = &setup.world.provider;
    let acquired = provider.acquire(&"ann".into()).await.unwrap();
    assert_eq!(acquired.expose(), "ntn_golden");
}

/// Stores a record that only later versions can read, with a state that this version does not know.
async fn with_newer_record() -> Setup {
    let setup = setup();
    setup.world.connect("ben").await;
    let mut json = record_json(&of_a_later_version(2));
    json["state"] = json!("paused");
    json.as_object_mut().unwrap().remove("payload");
    write_record(&setup.world.store, &record_key("ann"), &record_of(&json)).await;
    setup
}

#[tokio::test(start_paused = true)]
async fn newer_record_is_refused_and_unchanged() {
    let setup = with_newer_record().await;
    let (provider, ann) = (&setup.world.provider, "ann".into());
    let before = setup.stored("ann").await;
    for _ in 0..2 {
        let errors = [
            provider.acquire(&ann).await.unwrap_err(),
            provider.refresh(&ann).await.unwrap_err(),
            provider.load_credentials(&ann).await.unwrap_err(),
        ];
        for error in errors {
            let text = unreadable("ann", &error);
            assert!(text.contains("format 2"), "{text}");
            assert!(text.contains("newer version of notion-auth"), "{text}");
        }
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
    let status = provider.status(&ann).await.unwrap().unwrap();
    assert_eq!(
        (status.state, status.lineage),
        (RecordState::Unreadable, None)
    );
    let rotation = provider.rotate(None, 10).await.unwrap();
    assert_eq!((rotation.current, rotation.unreadable.len()), (1, 1));
    provider.purge_expired().await.unwrap();
    assert_eq!(setup.stored("ann").await, before);
    // Other subjects are not affected.
    provider.refresh(&"ben".into()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn newer_record_is_listed_as_unreadable() {
    let setup = with_newer_record().await;
    let list = async |query| {
        let page = setup.world.provider.list(&query).await.unwrap();
        page.into_iter()
            .map(|it| (it.subject.as_str().to_owned(), it.state))
            .collect::<Vec<_>>()
    };
    let ann = || ("ann".to_owned(), RecordState::Unreadable);
    let ben = || ("ben".to_owned(), RecordState::Active);
    assert_eq!(list(ListQuery::default()).await, [ann(), ben()]);
    let of_bot = ListQuery::default().filter(Filter::Bot("b1".to_owned()));
    assert_eq!(list(of_bot).await, [ann()]);
    let active = ListQuery::default().filter(Filter::Active);
    assert_eq!(list(active).await, [ben()]);
}

#[tokio::test(start_paused = true)]
async fn newer_record_is_replaced_by_a_connect() {
    let setup = with_newer_record().await;
    setup.world.connect("ann").await;
    setup.world.provider.refresh(&"ann".into()).await.unwrap();
    setup.world.assert_nothing_lost("ann").await;
    assert_eq!(setup.record("ann").await["format"], 1);
}

#[tokio::test(start_paused = true)]
async fn newer_record_is_ended_by_a_disconnect_or_a_delete() {
    for is_disconnect in [true, false] {
        let setup = with_newer_record().await;
        let (provider, ann) = (&setup.world.provider, "ann".into());
        if is_disconnect {
            let ended = provider.disconnect(&ann).await.unwrap();
            let Revocation::Unreadable(error) = ended else {
                panic!("tokens that can't be read were revoked: {ended:?}");
            };
            assert!(chain(&error).contains("format 2"), "{error}");
        } else {
            provider.delete_credentials(&ann).await.unwrap();
        }
        assert_eq!(provider.status(&ann).await.unwrap(), None);
        assert_eq!(setup.stored("ann").await.state, RecordState::Disconnected);
    }
}

#[tokio::test(start_paused = true)]
async fn invalid_bytes_are_a_damaged_record() {
    let setup = setup();
    for bytes in [
        "",
        "canary",
        "null",
        "{}",
        r#"{"format":1,"oldest_reader":1}"#,
    ] {
        write_record(&setup.world.store, &record_key("ann"), &stored_bytes(bytes)).await;
        let error = setup.world.provider.acquire(&"ann".into()).await;
        let text = unreadable("ann", &error.unwrap_err());
        assert!(text.contains("damaged"), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
}
