use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use notion_auth::{
    SqliteStore, Subject,
    store::{
        AttemptId, Change, CredentialStore, Expected, Filter, Labels, NewRecord, OnceAnswer,
        OnceKey, Payload, Record, RecordKey, RecordState, Revision, Saved, StoreError,
        StoreErrorKind, Summary,
    },
    testing::store_conformance,
};
use sqlx::{Connection, SqliteConnection};

use super::{small_disk::SmallDisk, two::Two};

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("notion.db")
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.path()).await.unwrap()
    }

    /// Does something to the file that this crate would not.
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

async fn connect_subject(store: &SqliteStore, subject: &str) {
    let new = NewRecord {
        change: Change::Connect,
        payload: Payload::from_bytes(b"canary".to_vec()),
        labels: Labels::default(),
    };
    let key = key(subject);
    let saved = store.save(&key, new, Expected::Absent, AttemptId::random());
    assert_eq!(saved.await.unwrap(), Saved::Done(1));
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
    store_conformance(Two::new(place.open().await, place.open().await)).await;
}

#[tokio::test]
async fn open_with_a_url_is_refused_without_showing_it() {
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
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sqlite:with a colon");
    SqliteStore::open(&path).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_file_is_opened_by_many_who_find_it_empty() {
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
async fn what_was_saved_is_there_after_a_restart_and_readable_by_its_user_alone() {
    let place = Place::new();
    let store = place.open().await;
    connect_subject(&store, "ann").await;
    let mut files = 0;
    for file in fs::read_dir(place.directory.path()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files += 1;
    }
    assert_eq!(files, 3, "the database, its log, and the log's index");
    drop(store);
    let record = place.open().await.load(&key("ann")).await.unwrap();
    assert_eq!(record.unwrap().payload.as_bytes(), b"canary");
}

#[tokio::test]
async fn a_file_that_is_not_the_crates_is_refused_and_left_alone() {
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
    assert_says(&error, StoreErrorKind::Corrupt, "no SQLite database");
    assert!(
        fs::read_to_string(place.path())
            .unwrap()
            .starts_with("no database")
    );

    let place = Place::new();
    let error = refused(&place.path().join("missing").join("notion.db")).await;
    assert_says(&error, StoreErrorKind::Misconfigured, "cannot be made");
}

#[tokio::test]
async fn a_database_that_is_locked_for_too_long_is_unavailable_and_then_good() {
    let place = Place::new();
    let store = place.open().await;
    let mut other = connect(&place.path()).await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let key = OnceKey::new("test", [1; 32]);
    let error = store.once(&key, Duration::from_secs(60)).await;
    let error = error.expect_err("it is locked");
    assert_says(&error, StoreErrorKind::Unavailable, "locked");
    lock.rollback().await.unwrap();
    let first = store.once(&key, Duration::from_secs(60)).await.unwrap();
    assert_eq!(first, OnceAnswer::First);
}

#[tokio::test]
async fn a_damaged_record_stops_only_its_subject_and_is_listed_as_unreadable() {
    let place = Place::new();
    let store = place.open().await;
    for subject in ["zoe", "ben"] {
        connect_subject(&store, subject).await;
    }
    for (sql, column) in [
        (
            "UPDATE credentials SET state = 'canary' WHERE subject = 'zoe'",
            "state",
        ),
        (
            "UPDATE credentials SET committed_by = x'00', state = 'active' WHERE subject = 'zoe'",
            "committed_by",
        ),
    ] {
        place.tamper(sql).await;
        let error = store.load(&key("zoe")).await.expect_err("it is damaged");
        assert_says(&error, StoreErrorKind::Corrupt, column);
        assert!(!error.to_string().contains("zoe"), "{error}");
        assert!(store.load(&key("ben")).await.unwrap().is_some());
    }
    place
        .tamper("UPDATE credentials SET state = 'canary' WHERE subject = 'zoe'")
        .await;
    let page = store.list("test", None, 9, Filter::NeedsReauthorization);
    let page: Vec<Summary> = page.await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].subject.as_str(), "zoe");
}

#[tokio::test]
async fn tombstones_are_swept_after_a_day() {
    let place = Place::new();
    let store = place.open().await;
    connect_subject(&store, "ann").await;
    connect_subject(&store, "ben").await;
    let tombstone = NewRecord {
        change: Change::Disconnect,
        payload: Payload::default(),
        labels: Labels::default(),
    };
    let ben = key("ben");
    let saved = store.save(
        &ben,
        tombstone,
        Expected::Generation(1),
        AttemptId::random(),
    );
    assert_eq!(saved.await.unwrap(), Saved::Done(2));
    place
        .tamper("UPDATE credentials SET updated_at = updated_at - 86399000000")
        .await;
    assert_eq!(store.sweep().await.unwrap(), 0);
    place
        .tamper("UPDATE credentials SET updated_at = updated_at - 1000000")
        .await;
    assert_eq!(store.sweep().await.unwrap(), 1);
    let ann: Option<Record> = store.load(&key("ann")).await.unwrap();
    assert_eq!(ann.unwrap().state, RecordState::Active);
    assert!(store.load(&ben).await.unwrap().is_none());
}

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_is_lost() {
    let Some(disk) = SmallDisk::mount("256k") else {
        return;
    };
    let path = disk.path().join("notion.db");
    let store = SqliteStore::open(&path).await.unwrap();
    connect_subject(&store, "ann").await;
    let before = store.load(&key("ann")).await.unwrap().unwrap();
    let large = Record {
        payload: Payload::from_bytes(vec![7; 1 << 20]),
        revision: Revision::from_bytes([7; 8]),
        ..before.clone()
    };
    let ann = key("ann");
    let replaced = store.replace(&ann, Some(before.revision), &large);
    let error = replaced.await.expect_err("there is no room");
    assert_says(&error, StoreErrorKind::Unavailable, "disk is full");
    let after = store.load(&key("ann")).await.unwrap().unwrap();
    assert_eq!(after.payload, before.payload);
    assert_eq!(after.revision, before.revision);
}

#[tokio::test]
async fn a_database_that_can_only_be_read_is_refused() {
    let Some(disk) = SmallDisk::mount("256k") else {
        return;
    };
    let path = disk.path().join("notion.db");
    let store = SqliteStore::open(&path).await.unwrap();
    connect_subject(&store, "ann").await;
    store.close().await;
    disk.make_read_only();
    let error = refused(&path).await;
    assert_says(&error, StoreErrorKind::Misconfigured, "right to write");
}

#[cfg(feature = "encryption")]
#[tokio::test]
async fn no_token_is_in_any_of_the_files_when_there_are_keys() {
    use notion_auth::{Keyring, testing::MockNotion};

    let place = Place::new();
    let notion = MockNotion::in_process();
    let provider = notion.provider_builder().unwrap().store(place.open().await);
    let provider = provider.keys(Keyring::random()).build().unwrap();
    let ann = Subject::new("ann");
    let connected = notion.connect();
    let stored = provider.store_credentials(&ann, connected.clone());
    stored.await.unwrap();
    let refreshed = provider.refresh(&ann).await.unwrap();

    let mut tokens = vec![refreshed.expose_token().to_owned()];
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

/// Polls on this thread, which knows no runtime.
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
fn a_provider_that_was_given_a_runtime_serves_any_executor() {
    use notion_auth::testing::MockNotion;

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
        assert_eq!(provider.list(Filter::All, None, 9).await.unwrap().len(), 1);
        provider.sweep().await.unwrap();
        provider.health().await.unwrap();
    });
}
