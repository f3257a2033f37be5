//! Where credentials are kept, and what they are sealed with.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use cookie::Key;
use hkdf::Hkdf;
use notion_auth::{
    BoxError, Keyring, PostgresStore, RedisStore, SqliteStore, provider::NotionAuthProviderBuilder,
};

use sha2::Sha256;

use crate::settings;

/// Gives the provider its store and its keys. What visitors' cookies are encrypted with comes of the same
/// keys: when those change, they sign in again.
pub(crate) async fn open(
    builder: NotionAuthProviderBuilder,
    database: &str,
) -> Result<(NotionAuthProviderBuilder, Keyring, Key), BoxError> {
    let scheme = database.split(':').next().unwrap_or_default();
    let given = settings::text("NOTION_AUTH_KEYS")?;
    let (builder, keys) = match scheme {
        "sqlite" => {
            let path = PathBuf::from(sqlite_path(database)?);
            let keys = match given {
                Some(keys) => keys,
                None => kept_keys(&path)?,
            };
            (builder.store(SqliteStore::open(&path).await?), keys)
        }
        "postgres" | "postgresql" => {
            let store = PostgresStore::connect(database).await?;
            store.migrate().await?;
            (builder.store(store), shared_keys(given)?)
        }
        "redis" | "rediss" => {
            let store = RedisStore::connect(database).await?;
            (builder.store(store), shared_keys(given)?)
        }
        _ => {
            // It may hold a password, so it is not shown.
            return Err(
                "DATABASE_URL: it must begin with sqlite:, postgres:// or redis:// (rediss://)"
                    .into(),
            );
        }
    };
    let keyring = Keyring::parse(&keys).map_err(|error| format!("NOTION_AUTH_KEYS: {error}"))?;
    Ok((builder.keys(keyring.clone()), keyring, cookie_key(&keys)?))
}

fn cookie_key(keys: &str) -> Result<Key, BoxError> {
    let mut derived = [0; 64];
    Hkdf::<Sha256>::new(None, keys.trim().as_bytes())
        .expand(b"gateway: visitors' cookies", &mut derived)
        .map_err(|error| error.to_string())?;
    Ok(Key::from(&derived))
}

fn sqlite_path(database: &str) -> Result<&str, BoxError> {
    let path = database.strip_prefix("sqlite:").unwrap_or(database);
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.contains(['?', ':']) {
        return Err("DATABASE_URL: after sqlite: comes the path of a file and nothing else".into());
    }
    Ok(path)
}

fn shared_keys(given: Option<String>) -> Result<String, BoxError> {
    given.ok_or_else(|| {
        "NOTION_AUTH_KEYS is not set: processes that share a store need the same keys. Make one by \
         `openssl rand -base64 32`"
            .into()
    })
}

/// The keys in the file beside the database, which is made together with it.
fn kept_keys(database: &Path) -> Result<String, BoxError> {
    let mut path = database.as_os_str().to_owned();
    path.push(".keys");
    let path = PathBuf::from(path);
    match fs::read_to_string(&path) {
        Ok(keys) if !keys.trim().is_empty() => return Ok(keys),
        Ok(_) => {
            return Err(format!(
                "{} is empty: bring it back, or delete it if nothing was ever stored",
                path.display()
            )
            .into());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("{}: {error}", path.display()).into()),
    }
    if database.exists() {
        return Err(format!(
            "the keys of {} are gone: bring back {}, or set NOTION_AUTH_KEYS",
            database.display(),
            path.display()
        )
        .into());
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let keys = BASE64_STANDARD.encode(key);
    write_new(&path, &keys).map_err(|error| format!("{}: {error}", path.display()))?;
    tracing::info!(
        "made {}: back it up, but not with the database",
        path.display()
    );
    Ok(keys)
}

/// Writes a file that only its owner reads, to the disk.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}
