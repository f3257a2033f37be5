//! What a replica is told when it is started.

use std::time::Duration;

use notion_auth::{
    Keyring, NotionAppCredentials, NotionAuthProvider,
    provider::{NotionAuthProviderBuilder, RefreshTimings},
    store::{StoreError, StoreErrorKind},
    testing::MockNotion,
};
use serde::{Deserialize, Serialize};

/// The environment variable that has it, as JSON.
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
    pub(super) async fn give_to(
        &self,
        builder: NotionAuthProviderBuilder,
    ) -> NotionAuthProviderBuilder {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => {
                builder.store(patiently(|| notion_auth::SqliteStore::open(path)).await)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => {
                builder.store(patiently(|| notion_auth::PostgresStore::connect(url)).await)
            }
            #[cfg(feature = "redis")]
            Self::Redis(url) => {
                builder.store(patiently(|| notion_auth::RedisStore::connect(url)).await)
            }
        }
    }
}

/// A store may be away for a while when a replica starts.
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

/// Short, so that what a dead process leaves behind is taken over soon; long enough for two cores that
/// run nine processes.
pub(super) fn timings() -> RefreshTimings {
    let mut timings = RefreshTimings::default();
    timings.call = Duration::from_secs(3);
    timings.save = Duration::from_millis(2500);
    timings.save_retries = Duration::from_secs(1);
    timings.margin = Duration::from_millis(300);
    timings.lease = Duration::from_secs(6);
    timings
}

/// Longer than a lease, and than others wait before they take a claim over.
pub(super) const SUSPENSION: Duration = Duration::from_secs(20);

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
        let builder = NotionAuthProvider::builder()
            .app(app)
            .keys(Keyring::new([[7; 32]]).unwrap())
            .api_url(&self.notion)
            .refresh_timings(timings())
            .acquire_timeout(Duration::from_secs(6))
            .min_refresh_interval(Duration::ZERO)
            .revalidation_age(Duration::from_secs(1));
        self.database.give_to(builder).await
    }
}

/// The name of a subject. It is also the path of its requests, so that the ledger shows for whom they are.
pub(super) fn name(number: usize) -> String {
    format!("subject-{number}")
}
