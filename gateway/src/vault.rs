//! Where credentials are kept, and what they are sealed with.

use std::{error::Error as StdError, iter::successors, path::Path};

use cookie::Key;
use hkdf::Hkdf;
use notion_auth::{
    BoxError, Keyring, NotionAuthProvider, PostgresStore, RedisStore, SqliteStore,
    provider::NotionAuthProviderBuilder, store::StoreError,
};
use sha2::Sha256;

use crate::{keys_file, settings};

enum Database<'a> {
    Sqlite(&'a Path),
    Postgres(&'a str),
    Redis(&'a str),
}

/// Gives the provider its store and its keys. What visitors' cookies are encrypted with comes of the same
/// keys: when those change, they sign in again.
pub(crate) async fn open(
    builder: NotionAuthProviderBuilder,
    database: &str,
) -> Result<(NotionAuthProviderBuilder, Key), BoxError> {
    let database = parse(database)?;
    let (name, keys) = match (settings::text("NOTION_AUTH_KEYS")?, &database) {
        (Some(keys), database) => {
            if let Database::Sqlite(path) = database {
                keys_file::check_against(path, &keys)?;
            }
            ("NOTION_AUTH_KEYS", keys)
        }
        (None, Database::Sqlite(path)) => {
            let keys = keys_file::read_or_make(path);
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
    let builder = store(builder, &database).await;
    let builder = builder.map_err(|error| complaint(&error))?;
    Ok((builder.keys(keyring), cookie_key(&keys)?))
}

/// Refuses a file that is not there, where a new one would be of no use.
pub(crate) fn exists(database: &str) -> Result<(), BoxError> {
    match parse(database)? {
        Database::Sqlite(path) if !path.exists() => {
            Err(format!("DATABASE_URL: there is no {}", path.display()).into())
        }
        _ => Ok(()),
    }
}

/// Whether the store will keep what it gets.
pub(crate) async fn check(provider: &NotionAuthProvider) -> Result<(), BoxError> {
    let Err(error) = provider.health().await else {
        return Ok(());
    };
    // Only its cause says what is the matter; that of the connections to Notion names a variable itself.
    match error.source() {
        Some(cause) if !cause.is::<StoreError>() => Err(cause.to_string().into()),
        cause => Err(complaint(cause.unwrap_or(&error))),
    }
}

fn parse(database: &str) -> Result<Database<'_>, BoxError> {
    match database.split_once(':') {
        Some(("sqlite", path)) => {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.contains(['?', ':']) || Path::new(path).is_dir() {
                return Err(
                    "DATABASE_URL: after sqlite: comes the path of a file and nothing else".into(),
                );
            }
            Ok(Database::Sqlite(Path::new(path)))
        }
        Some(("postgres" | "postgresql", _)) => Ok(Database::Postgres(database)),
        Some(("redis" | "rediss", _)) => Ok(Database::Redis(database)),
        // It may hold a password, so it is not shown.
        _ => Err(
            "DATABASE_URL: it must begin with sqlite:, postgres:// or redis:// (rediss://)".into(),
        ),
    }
}

async fn store(
    builder: NotionAuthProviderBuilder,
    database: &Database<'_>,
) -> Result<NotionAuthProviderBuilder, StoreError> {
    Ok(match database {
        Database::Sqlite(path) => builder.store(SqliteStore::open(path).await?),
        Database::Postgres(url) => {
            let store = PostgresStore::connect(url).await?;
            store.migrate().await?;
            builder.store(store)
        }
        Database::Redis(url) => builder.store(RedisStore::connect(url).await?),
    })
}

/// An error of a store with its causes, in one line. No store tells its password in them.
pub(crate) fn complaint(error: &(dyn StdError + 'static)) -> BoxError {
    let mut line = "DATABASE_URL".to_owned();
    for error in successors(Some(error), |&error| error.source()) {
        let text = error.to_string().replace(['\r', '\n'], " ");
        // Some say their cause themselves.
        if !line.ends_with(&text) {
            line += &format!(": {text}");
        }
    }
    line.into()
}

fn cookie_key(keys: &str) -> Result<Key, BoxError> {
    let mut derived = [0; 64];
    Hkdf::<Sha256>::new(None, keys.trim().as_bytes())
        .expand(b"gateway: visitors' cookies", &mut derived)
        .map_err(|error| error.to_string())?;
    Ok(Key::from(&derived))
}
