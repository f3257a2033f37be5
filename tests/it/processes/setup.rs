//! How a replica is started, and how it is configured.

use std::time::Duration;

use notion_auth::{
    Keyring, NotionAppCredentials, NotionAuthProvider,
    provider::{NotionAuthProviderBuilder, RefreshTimings},
    store::{StoreError, StoreErrorKind},
    testing::MockNotion,
};
use serde::{Deserialize, Serialize};

use crate::faulty_store::FaultyStore;

/// The environment variable that holds the setup, as JSON.
pub(super) const VARIABLE: &str = "NOTION_AUTH_REPLICA";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) database: Database,
    pub(super) notion: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) redirect_uri: String,
    pub(super) subjects: usize,
    /// For each subject.
    pub(super) tasks: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Database {
    #[cfg(feature = "sqlite")]
    Sqlite(std::path::PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(String),
    #[cfg(feature = "redis")]
    Redis(String),
}

impl Database {
    pub(super) async fn open(&self) -> FaultyStore<()> {
        let store = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => {
                let store = patiently(|| notion_auth::SqliteStore::open(path)).await;
                FaultyStore::new(store, ())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => {
                let store = patiently(|| notion_auth::PostgresStore::connect(url)).await;
                FaultyStore::new(store, ())
            }
            #[cfg(feature = "redis")]
            Self::Redis(url) => {
                let store = patiently(|| notion_auth::RedisStore::connect(url)).await;
                FaultyStore::new(store, ())
            }
        };
        store.persistent()
    }
}

/// Opens a store, which may be down for a while when a replica starts.
async fn patiently<S>(open: impl AsyncFn() -> Result<S, StoreError>) -> S {
    let mut tries = 0;
    loop {
        match open().await {
            Ok(store) => return store,
            Err(error) if error.kind() == StoreErrorKind::Unavailable && tries < 60 => tries += 1,
            Err(error) => panic!("{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Short, so that the lease of a dead process is taken over soon; long enough for two cores that run nine processes.
pub(super) fn timings() -> RefreshTimings {
    let mut timings = RefreshTimings::default();
    timings.call = Duration::from_secs(2);
    timings.save = Duration::from_millis(2500);
    timings.save_retries = Duration::from_secs(8);
    timings.margin = Duration::from_millis(300);
    timings.lease = Duration::from_secs(6);
    timings
}

/// Longer than other processes wait before they take a lease over: until it is 16.5 seconds old, and for a save and a retry
/// of it.
pub(super) const SUSPENSION: Duration = Duration::from_secs(25);

impl Setup {
    pub(super) fn new(
        database: Database,
        notion: &MockNotion,
        subjects: usize,
        tasks: usize,
    ) -> Self {
        Self {
            database,
            notion: notion.base_url(),
            client_id: notion.client_id().to_owned(),
            client_secret: notion.client_secret().to_owned(),
            redirect_uri: notion.redirect_uri().to_owned(),
            subjects,
            tasks,
        }
    }

    pub(super) async fn provider(&self) -> NotionAuthProviderBuilder {
        let app = NotionAppCredentials::builder()
            .authorization_url(format!("{}/v1/oauth/authorize", self.notion))
            .token_url(format!("{}/v1/oauth/token", self.notion))
            .client_id(&self.client_id)
            .client_secret(&self.client_secret)
            .redirect_uri(&self.redirect_uri)
            .build()
            .unwrap();
        NotionAuthProvider::builder()
            .app(app)
            .store(self.database.open().await)
            .keys(Keyring::new([[7; 32]]).unwrap())
            .api_url(&self.notion)
            .refresh_policy(crate::support::policy(|it| {
                it.timings = timings();
                // Longer than a take-over takes, and than two cores need for a round of nine processes.
                it.acquire_timeout = Duration::from_secs(30);
                it.revalidation_age = Duration::from_secs(1);
            }))
    }
}

/// The name of a subject. It is also the path of its requests, so that the ledger shows their subjects.
pub(super) fn name(number: usize) -> String {
    format!("subject-{number}")
}
