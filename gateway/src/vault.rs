//! The store of credentials, and the keys that encrypt them.

use std::{error::Error as StdError, iter::successors};

use cookie::Key;
use hkdf::Hkdf;
use notion_auth::{
    AuthError, BoxError, Keyring, NotionAuthProvider, PostgresStore, RedisStore, SqliteStore,
    provider::NotionAuthProviderBuilder, store::StoreError,
};
use sha2::Sha256;

use crate::{database::Database, encryption_keys, link::UsedLinks, settings::ConnectionSettings};

/// What was opened.
pub(crate) struct Vault {
    /// Of a provider with its store and its keys.
    pub(crate) builder: NotionAuthProviderBuilder,
    /// The key of visitors' cookies. It is derived from the same keys: when they change, visitors sign in again.
    pub(crate) cookie_key: Key,
    pub(crate) used_links: UsedLinks,
}

/// Opens the store, and reads the keys.
pub(crate) async fn open(settings: &ConnectionSettings) -> Result<Vault, BoxError> {
    let database = &settings.database;
    let (name, keys) = match (&settings.auth_keys, database) {
        (Some(keys), database) => {
            if let Database::Sqlite(path) = database {
                encryption_keys::check_against(path, keys)?;
            }
            ("NOTION_AUTH_KEYS", keys.clone())
        }
        (None, Database::Sqlite(path)) => {
            let keys = encryption_keys::read_or_make(path);
            let keys = keys.map_err(|error| format!("DATABASE_URL: {error}"))?;
            ("DATABASE_URL: the keys beside the database", keys)
        }
        (None, _) => {
            return Err(
                "NOTION_AUTH_KEYS is not set: processes that share a store need the same keys. Make \
                 one by `openssl rand -base64 32`"
                    .into(),
            );
        }
    };
    let keyring = Keyring::parse(&keys).map_err(|error| format!("{name}: {error}"))?;
    let builder = NotionAuthProvider::builder()
        .app(settings.app.clone())
        .api_url(settings.api_url.as_str().trim_end_matches('/'))
        .https(settings.https.clone());
    let (builder, used_links) = store(builder, settings).await?;
    Ok(Vault {
        builder: builder.keys(keyring),
        cookie_key: cookie_key(&keys)?,
        used_links,
    })
}

/// Opens an existing store for a command, which doesn't wait for one that doesn't answer.
pub(crate) async fn open_existing(
    settings: &ConnectionSettings,
) -> Result<NotionAuthProvider, BoxError> {
    if let Database::Sqlite(path) = &settings.database
        && !path.exists()
    {
        return Err(format!("DATABASE_URL: there is no {}", path.display()).into());
    }
    let provider = open(settings).await?.builder.build()?;
    match provider.health().await {
        Ok(()) => Ok(provider),
        Err(error) => Err(unusable(&error)),
    }
}

/// Creates missing tables and checks the store. Waits up to a minute for one that doesn't answer.
pub(crate) async fn start(
    builder: NotionAuthProviderBuilder,
) -> Result<NotionAuthProvider, BoxError> {
    builder.start().await.map_err(|error| unusable(&error))
}

fn unusable(error: &AuthError) -> BoxError {
    // Only its cause says what is the matter; that of the connections to Notion names a variable itself.
    match error.source() {
        Some(cause) if !cause.is::<StoreError>() => cause.to_string().into(),
        cause => complaint(cause.unwrap_or(error)),
    }
}

async fn store(
    builder: NotionAuthProviderBuilder,
    settings: &ConnectionSettings,
) -> Result<(NotionAuthProviderBuilder, UsedLinks), BoxError> {
    let failed = |error: StoreError| complaint(&error);
    let not_accepted = |error: StoreError| format!("GATEWAY_ACCEPT_SETTINGS: {error}");
    let accepted = &settings.accepted;
    Ok(match &settings.database {
        Database::Sqlite(path) => {
            let store = SqliteStore::open(path).await.map_err(failed)?;
            (builder.store(store.clone()), UsedLinks::of(store))
        }
        Database::Postgres(url) => {
            let mut store = PostgresStore::connect(url).await.map_err(failed)?;
            for name in accepted {
                store = store.accept_setting(name).map_err(not_accepted)?;
            }
            (builder.store(store.clone()), UsedLinks::of(store))
        }
        Database::Redis(url) => {
            let mut store = RedisStore::connect(url).await.map_err(failed)?;
            for name in accepted {
                store = store.accept_setting(name).map_err(not_accepted)?;
            }
            (builder.store(store.clone()), UsedLinks::of(store))
        }
    })
}

/// An error of a store with its causes, in one line. No store shows its password in them.
pub(crate) fn complaint(error: &(dyn StdError + 'static)) -> BoxError {
    let mut line = "DATABASE_URL".to_owned();
    for error in successors(Some(error), |&error| error.source()) {
        let text = error.to_string().replace(['\r', '\n'], " ");
        // Some have their cause in their own text.
        if !line.ends_with(&text) {
            line += &format!(": {text}");
        }
    }
    // The library's name of the call is the gateway's setting.
    line.replace("`accept_setting(\"", "`GATEWAY_ACCEPT_SETTINGS=")
        .replace("\")`", "`")
        .into()
}

fn cookie_key(keys: &str) -> Result<Key, BoxError> {
    let mut derived = [0; 64];
    Hkdf::<Sha256>::new(None, keys.trim().as_bytes())
        .expand(b"gateway: visitors' cookies", &mut derived)
        .map_err(|error| error.to_string())?;
    Ok(Key::from(&derived))
}
