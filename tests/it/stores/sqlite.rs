//! The SQLite store: stored data, files that it refuses to open, and disk errors.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use notion_auth::{
    Event, ReauthorizationReason, SqliteStore, Subject,
    store::{
        CredentialStore, Filter, ListQuery, Nonce, RecordBytes, RecordKey, RecordState, Revision,
        StoreError, StoreErrorKind, StoredRecord,
    },
    testing::{MockNotion, store_conformance},
};
use sqlx::{Connection, SqliteConnection};

use super::small_disk::SmallDisk;
use crate::{faulty_store::FaultyStore, temporary::Directory};

struct Place {
    directory: Directory,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: Directory::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("notion.db")
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.path()).await.unwrap()
    }

    /// Changes the file in a way that this crate would not.
    async fn tamper(&self, sql: &'static str) {
        let mut connection = connect(&self.path()).await;
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

async fn connect(path: &Path) -> SqliteConnection {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    SqliteConnection::connect(&url).await.unwrap()
}

fn key(subject: &str) -> RecordKey {
    RecordKey::new("test", Subject::new(subject))
}

fn record(bytes: &[u8]) -> StoredRecord {
    StoredRecord {
        revision: Revision::from_bytes(fastrand::u64(..).to_be_bytes()),
        state: RecordState::Active,
        bot_id: Some("bot".to_owned()),
        updated_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        bytes: RecordBytes::new(bytes.to_vec()),
    }
}

/// Writes the subject's first record.
async fn insert(store: &SqliteStore, subject: &str) -> StoredRecord {
    let (key, record) = (key(subject), record(b"canary"));
    let inserted = store.compare_and_swap(&key, None, &record);
    assert!(inserted.await.unwrap());
    record
}

#[tokio::test]
async fn list_by_filter_returns_what_the_filter_admits_unknown_states_too() {
    let place = Place::new();
    let store = place.open().await;
    let reasons = [
        ReauthorizationReason::Revoked,
        ReauthorizationReason::RotationLost,
        ReauthorizationReason::NoRefreshToken,
        ReauthorizationReason::Expired,
    ];
    let states = [
        RecordState::Active,
        RecordState::Disconnected,
        RecordState::Unreadable,
    ];
    let ended = reasons.map(RecordState::NeedsReauthorization);
    for state in states.into_iter().chain(ended) {
        let new = StoredRecord {
            state,
            ..record(b"canary")
        };
        let key = key(state.code());
        let inserted = store.compare_and_swap(&key, None, &new);
        assert!(inserted.await.unwrap());
    }
    insert(&store, "of a newer version").await;
    place
        .tamper("UPDATE credentials SET state = 'paused' WHERE subject = 'of a newer version'")
        .await;
    let all = store.list("test", &ListQuery::default()).await.unwrap();
    assert_eq!(all.len(), 8);
    for (filter, count) in [
        (Filter::Active, 1),
        (Filter::NeedsReauthorization, 4),
        (Filter::Disconnected, 1),
        (Filter::Bot("bot".to_owned()), 8),
    ] {
        let query = ListQuery::default().filter(filter.clone());
        let listed = store.list("test", &query).await.unwrap();
        let listed: Vec<_> = listed.into_iter().map(|it| it.subject).collect();
        let admitted = all
            .iter()
            .filter(|it| query.admits(it.subject.as_str(), &it.record));
        let admitted: Vec<_> = admitted.map(|it| it.subject.clone()).collect();
        assert_eq!(listed, admitted, "{filter:?}");
        assert_eq!(listed.len(), count, "{filter:?}");
    }
}

#[tokio::test]
async fn list_by_a_prefix_with_a_nul_returns_the_subjects_with_it() {
    let place = Place::new();
    let store = place.open().await;
    for subject in ["", "a", "a\0b", "a\0bc", "ab", "\u{e4}\0c"] {
        insert(&store, subject).await;
    }
    for (prefix, expected) in [
        ("", &["", "a", "a\0b", "a\0bc", "ab", "\u{e4}\0c"][..]),
        ("a", &["a", "a\0b", "a\0bc", "ab"]),
        ("a\0", &["a\0b", "a\0bc"]),
        ("a\0bc", &["a\0bc"]),
        ("\u{e4}\0", &["\u{e4}\0c"]),
        ("\0", &[]),
    ] {
        let query = ListQuery::default().prefix(prefix);
        let listed = store.list("test", &query).await.unwrap();
        let listed: Vec<&str> = listed.iter().map(|it| it.subject.as_str()).collect();
        assert_eq!(listed, expected, "{prefix:?}");
    }
}

async fn load(store: &SqliteStore, subject: &str) -> Option<StoredRecord> {
    store.load(&key(subject)).await.unwrap().record
}

async fn refused(path: &Path) -> StoreError {
    SqliteStore::open(path).await.expect_err("it is refused")
}

#[track_caller]
fn assert_says(error: &StoreError, kind: StoreErrorKind, words: &str) {
    let text = error.to_string();
    assert!(text.starts_with("sqlite store: "), "{text}");
    assert!(text.contains(words), "{text}");
    assert_eq!(error.kind(), kind, "{text}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

#[tokio::test]
async fn conformance_of_the_sqlite_store() {
    let place = Place::new();
    store_conformance(place.open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conformance_of_the_sqlite_store_through_two_handles() {
    let place = Place::new();
    let handles = [place.open().await, place.open().await];
    store_conformance(FaultyStore::alternating(handles)).await;
}

#[tokio::test]
async fn url_is_refused_as_a_path_and_not_shown() {
    for path in [
        "sqlite:hunter2.db",
        "sqlite://hunter2.db",
        "file:hunter2.db?mode=memory",
        "postgres://ann:hunter2@localhost/app",
        "redis:hunter2",
        "hunter2:",
        ":memory:",
    ] {
        let error = refused(Path::new(path)).await;
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured, "{path}");
        let text = format!("{error} {error:?}");
        assert!(text.contains("give the path of"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(!Path::new(path).exists(), "{path}");
    }
    let directory = Directory::new();
    let path = directory.path().join("sqlite:with a colon");
    SqliteStore::open(&path).await.unwrap();
}

#[tokio::test]
async fn path_that_is_not_utf8_is_refused_and_no_file_is_made() {
    let place = Place::new();
    let path = place.path().with_file_name(OsStr::from_bytes(b"\xff.db"));
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    assert!(error.to_string().contains("UTF-8"), "{error}");
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn empty_database_is_opened_by_many_processes() {
    for _ in 0..20 {
        let place = Place::new();
        let path = place.path();
        let opened: Vec<_> = (0..8)
            .map(|_| tokio::spawn(SqliteStore::open(path.clone())))
            .collect();
        for store in opened {
            store.await.unwrap().unwrap().health().await.unwrap();
        }
    }
}

#[tokio::test]
async fn records_survive_a_restart_and_files_are_private() {
    let place = Place::new();
    let store = place.open().await;
    let written = insert(&store, "ann").await;
    let mut files = 0;
    for file in fs::read_dir(place.directory.path()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files += 1;
    }
    assert_eq!(files, 3, "the database, its log, and the log's index");
    drop(store);
    assert_eq!(load(&place.open().await, "ann").await, Some(written));
}

#[tokio::test]
async fn file_of_another_application_is_refused_and_unchanged() {
    let place = Place::new();
    place.tamper("CREATE TABLE customers (name TEXT)").await;
    let error = refused(&place.path()).await;
    assert_says(&error, StoreErrorKind::Misconfigured, "another application");

    let place = Place::new();
    drop(place.open().await);
    place.tamper("PRAGMA user_version = 2").await;
    let error = refused(&place.path()).await;
    assert_says(&error, StoreErrorKind::Misconfigured, "newer version");

    let place = Place::new();
    fs::write(place.path(), "no database at all, but text of some length").unwrap();
    let error = refused(&place.path()).await;
    assert_says(&error, StoreErrorKind::Corrupt, "not an SQLite database");
    assert!(
        fs::read_to_string(place.path())
            .unwrap()
            .starts_with("no database")
    );

    let place = Place::new();
    let error = refused(&place.path().join("missing").join("notion.db")).await;
    assert_says(&error, StoreErrorKind::Misconfigured, "cannot be created");
}

#[tokio::test]
async fn locked_database_is_unavailable_until_it_is_unlocked() {
    let place = Place::new();
    let store = place.open().await;
    let mut other = connect(&place.path()).await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let nonce = Nonce::new("test", [1; 32]);
    let error = store.consume_nonce(&nonce, Duration::from_secs(60)).await;
    let error = error.expect_err("it is locked");
    assert_says(&error, StoreErrorKind::Unavailable, "locked");
    lock.rollback().await.unwrap();
    let consumed = store.consume_nonce(&nonce, Duration::from_secs(60));
    assert!(consumed.await.unwrap());
}

#[tokio::test]
async fn damaged_row_stops_only_its_subject() {
    let place = Place::new();
    let (store, notion) = (place.open().await, MockNotion::in_process());
    let provider = notion.provider_builder().unwrap().store(store);
    let provider = provider.plaintext_at_rest().build().unwrap();
    let (ben, zoe) = (Subject::new("ben"), Subject::new("zoe"));
    for subject in [&ben, &zoe] {
        let stored = provider.store_credentials(subject, notion.connect());
        stored.await.unwrap();
    }
    for sql in [
        "UPDATE credentials SET bytes = x'00' WHERE subject = 'zoe'",
        "UPDATE credentials SET state = 'canary', bytes = CAST('canary' AS BLOB) WHERE subject = 'zoe'",
    ] {
        place.tamper(sql).await;
        let error = provider.load_credentials(&zoe).await.unwrap_err();
        assert!(error.is_configuration(), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        assert!(provider.load_credentials(&ben).await.unwrap().is_some());
        let page = provider.list(&ListQuery::default()).await.unwrap();
        let states: Vec<_> = page.iter().map(|it| it.state).collect();
        assert_eq!(states, [RecordState::Active, RecordState::Unreadable]);
    }
}

/// What happens to a file while a process has the database open.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Deleted,
    /// By its copy, as when a backup is restored.
    Replaced,
}

/// Returns a store with a record, one of whose files is deleted or replaced.
async fn with_file(suffix: &str, fate: Fate) -> (Place, SqliteStore, StoredRecord) {
    let place = Place::new();
    let store = place.open().await;
    let record = insert(&store, "ann").await;
    let mut file = place.path().into_os_string();
    file.push(suffix);
    match fate {
        Fate::Deleted => fs::remove_file(&file).unwrap(),
        Fate::Replaced => {
            let copy = place.directory.path().join("copy");
            fs::copy(&file, &copy).unwrap();
            fs::rename(&copy, &file).unwrap();
        }
    }
    (place, store, record)
}

const FATES: [(&str, Fate); 4] = [
    ("", Fate::Deleted),
    ("", Fate::Replaced),
    ("-wal", Fate::Deleted),
    ("-wal", Fate::Replaced),
];

#[track_caller]
fn assert_says_that_the_file_is_gone(error: &StoreError, suffix: &str) {
    let what = format!("notion.db{suffix} was deleted or replaced");
    assert_says(error, StoreErrorKind::Misconfigured, &what);
    assert!(error.to_string().contains("restart the process"), "{error}");
}

#[tokio::test]
async fn deleted_or_replaced_file_makes_saving_fail() {
    for (suffix, fate) in FATES {
        let (_place, store, old) = with_file(suffix, fate).await;
        let new = record(b"new");
        let ann = key("ann");
        let saved = store.compare_and_swap(&ann, Some(old.revision), &new).await;
        assert_says_that_the_file_is_gone(&saved.unwrap_err(), suffix);
        let inserted = store.compare_and_swap(&key("ben"), None, &new).await;
        assert_says_that_the_file_is_gone(&inserted.unwrap_err(), suffix);
    }
}

#[tokio::test]
async fn deleted_or_replaced_file_makes_consuming_a_nonce_fail() {
    for (suffix, fate) in FATES {
        let (_place, store, _) = with_file(suffix, fate).await;
        let nonce = Nonce::new("test", [1; 32]);
        let consumed = store.consume_nonce(&nonce, Duration::from_secs(60)).await;
        assert_says_that_the_file_is_gone(&consumed.unwrap_err(), suffix);
    }
}

#[tokio::test]
async fn deleted_or_replaced_file_makes_health_fail() {
    for (suffix, fate) in FATES {
        let (_place, store, _) = with_file(suffix, fate).await;
        let health = store.health().await;
        assert_says_that_the_file_is_gone(&health.unwrap_err(), suffix);
    }
}

#[tokio::test]
async fn log_of_a_linked_database_is_checked() {
    let place = Place::new();
    fs::create_dir(place.directory.path().join("data")).unwrap();
    let real = place.directory.path().join("data").join("real.db");
    drop(SqliteStore::open(&real).await.unwrap());
    std::os::unix::fs::symlink(&real, place.path()).unwrap();
    let store = place.open().await;
    insert(&store, "ann").await;
    fs::remove_file(real.with_extension("db-wal")).unwrap();
    let error = store.health().await.unwrap_err();
    assert_says(&error, StoreErrorKind::Misconfigured, "deleted or replaced");
}

#[tokio::test]
async fn other_processes_may_open_and_close_the_database() {
    let place = Place::new();
    let store = place.open().await;
    insert(&store, "ann").await;
    for _ in 0..3 {
        let other = place.open().await;
        assert!(load(&other, "ann").await.is_some());
        other.close().await;
        place
            .tamper("PRAGMA wal_checkpoint(TRUNCATE); VACUUM")
            .await;
        store.health().await.unwrap();
    }
    insert(&store, "ben").await;
}

/// A refresh is not reported as saved if the file was deleted, because it would be lost with the process.
#[tokio::test]
async fn refresh_is_not_reported_if_the_file_was_deleted() {
    use std::sync::{Arc, Mutex};

    let place = Place::new();
    let (store, notion) = (place.open().await, MockNotion::in_process());
    let events = Arc::<Mutex<Vec<Event>>>::default();
    let seen = Arc::clone(&events);
    let provider = notion.provider_builder().unwrap().store(store);
    let provider = provider
        .plaintext_at_rest()
        .observer(move |event: &Event| seen.lock().unwrap().push(event.clone()))
        .build()
        .unwrap();
    let ann = Subject::new("ann");
    let stored = provider.store_credentials(&ann, notion.connect());
    stored.await.unwrap();
    fs::remove_file(place.path()).unwrap();
    let error = provider.refresh(&ann).await.unwrap_err();
    assert!(error.is_configuration(), "{error}");
    assert!(provider.health().await.unwrap_err().is_configuration());
    let is_refreshed = |event: &Event| matches!(event, Event::Refreshed { .. });
    assert!(!events.lock().unwrap().iter().any(is_refreshed));
    assert!(notion.ledger().refreshes().is_empty(), "no lease, no call");
}

#[tokio::test]
async fn full_disk_is_named_and_nothing_is_lost() {
    let Some(disk) = SmallDisk::mount("256k") else {
        return;
    };
    let path = disk.path().join("notion.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let before = insert(&store, "ann").await;
    let (ann, large) = (key("ann"), record(&[7; 1 << 20]));
    let replaced = store.compare_and_swap(&ann, Some(before.revision), &large);
    let error = replaced.await.expect_err("there is no room");
    assert_says(&error, StoreErrorKind::Unavailable, "disk is full");
    assert_eq!(load(&store, "ann").await, Some(before));
}

#[tokio::test]
async fn read_only_database_is_refused() {
    let Some(disk) = SmallDisk::mount("256k") else {
        return;
    };
    let path = disk.path().join("notion.db");
    let store = SqliteStore::open(&path).await.unwrap();
    insert(&store, "ann").await;
    store.close().await;
    disk.make_read_only();
    let error = refused(&path).await;
    assert_says(&error, StoreErrorKind::Misconfigured, "right to write");
}

#[cfg(feature = "encryption")]
#[tokio::test]
async fn no_token_is_in_any_file_with_keys() {
    use notion_auth::Keyring;

    let place = Place::new();
    let notion = MockNotion::in_process();
    let provider = notion.provider_builder().unwrap().store(place.open().await);
    let provider = provider.keys(Keyring::random()).build().unwrap();
    let ann = Subject::new("ann");
    let connected = notion.connect();
    let stored = provider.store_credentials(&ann, connected.clone());
    stored.await.unwrap();
    let refreshed = provider.refresh(&ann).await.unwrap();

    let mut tokens = vec![refreshed.expose().to_owned()];
    tokens.push(connected.access_token.expose().to_owned());
    tokens.push(connected.refresh_token.unwrap().expose().to_owned());
    for file in fs::read_dir(place.directory.path()).unwrap() {
        let file = file.unwrap().path();
        let bytes = fs::read(&file).unwrap();
        for token in &tokens {
            let is_there = bytes.windows(token.len()).any(|it| it == token.as_bytes());
            assert!(!is_there, "a token is in {}", file.display());
        }
    }
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls on this thread, without a runtime.
fn wait_without_a_runtime<T>(future: impl Future<Output = T>) -> T {
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}

#[test]
fn provider_with_a_runtime_works_on_any_executor() {
    let place = Place::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(place.open());
    let notion = runtime.block_on(MockNotion::start()).unwrap();
    let provider = notion.provider_builder().unwrap().store(store);
    let provider = provider
        .plaintext_at_rest()
        .runtime(runtime.handle().clone());
    let provider = provider.build().unwrap();
    wait_without_a_runtime(async {
        let ann = Subject::new("ann");
        let stored = provider.store_credentials(&ann, notion.connect());
        stored.await.unwrap();
        assert!(provider.status(&ann).await.unwrap().is_some());
        let page = provider.list(&ListQuery::default()).await.unwrap();
        assert_eq!(page.len(), 1);
        provider.purge_expired().await.unwrap();
        provider.health().await.unwrap();
    });
}
