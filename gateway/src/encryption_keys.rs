//! The file beside an SQLite database in which the keys are that its records are sealed with.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use notion_auth::BoxError;

/// The keys of that database. They are made where there are neither keys nor a database: the keys first,
/// so that no record is ever without them.
pub(crate) fn read_or_make(database: &Path) -> Result<String, BoxError> {
    let path = beside(database);
    let name = path.display();
    // Before the keys are looked for: another program may be making both.
    let had_database = database.exists();
    if let Some(keys) = read(&path)? {
        return Ok(keys);
    }
    if had_database {
        return Err(format!(
            "the keys of {} are gone: bring back {name}, or set NOTION_AUTH_KEYS",
            database.display()
        )
        .into());
    }
    match make(&path) {
        Ok(()) => tracing::info!("made {name}: back it up, but not with the database"),
        // Another program was faster, and its keys are those of both.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(format!(
                "{name} cannot be made: its directory must exist, and this program must have the right to \
                 write there ({})",
                error.kind()
            )
            .into());
        }
    }
    read(&path)?.ok_or_else(|| format!("{name} was made, and is gone").into())
}

/// Refuses other keys that leave out one in the file: what it has sealed could not be read, and would be lost
/// when its user connects again.
pub(crate) fn check_against(database: &Path, keys: &str) -> Result<(), BoxError> {
    let path = beside(database);
    let split = |keys: &str| -> Vec<String> {
        let keys = keys.split([',', '\n']).map(|key| key.trim().to_owned());
        keys.filter(|key| !key.is_empty()).collect()
    };
    let Some(kept) = read(&path).map_err(|error| format!("DATABASE_URL: {error}"))? else {
        return Ok(());
    };
    let given = split(keys);
    if split(&kept).iter().all(|key| given.contains(key)) {
        return Ok(());
    }
    Err(format!(
        "NOTION_AUTH_KEYS: it leaves out a key that is in {}: add that behind the others, and delete the \
         file when `notion-auth-gateway rotate` has gone through",
        path.display()
    )
    .into())
}

fn beside(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".keys");
    PathBuf::from(path)
}

fn read(path: &Path) -> Result<Option<String>, BoxError> {
    let name = path.display();
    match fs::read_to_string(path) {
        Ok(keys) if keys.trim().is_empty() => Err(format!(
            "{name} is empty: bring it back, or delete it if nothing was ever stored"
        )
        .into()),
        Ok(keys) => Ok(Some(keys)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{name}: {error}").into()),
    }
}

/// Makes the file whole or not at all, readable by its owner alone, and replaces none.
fn make(path: &Path) -> io::Result<()> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let directory = match path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    };
    // Should it be left behind, it is ignored by what ignores keys.
    let mut file = tempfile::Builder::new()
        .suffix(".keys")
        .tempfile_in(directory)?;
    writeln!(file, "{}", BASE64_STANDARD.encode(key))?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    // A power failure could take the name, while what is in the file is safe.
    #[cfg(unix)]
    fs::File::open(directory)?.sync_all()?;
    Ok(())
}
