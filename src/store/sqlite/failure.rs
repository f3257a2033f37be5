use crate::store::StoreError;

const STORE: &str = super::store::NAME;

/// What an error of SQLite means, and what to do. <https://sqlite.org/rescode.html>
pub(super) fn failed(error: sqlx::Error) -> StoreError {
    let stated = match (&error, code(&error)) {
        (sqlx::Error::PoolTimedOut, _) => StoreError::unavailable(
            STORE,
            "no connection came free in time: the disk is slow, or something holds the database locked",
        ),
        (sqlx::Error::PoolClosed, _) => {
            StoreError::unavailable(STORE, "the database was closed by this process")
        }
        (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_), _) => StoreError::corrupt(
            STORE,
            "a row cannot be read. Restore it from a backup, or delete it and connect again",
        ),
        (_, Some(1)) => StoreError::misconfigured(
            STORE,
            "the database has not the tables that it must have: was it changed by hand?",
        ),
        (_, Some(5 | 6)) => StoreError::unavailable(
            STORE,
            "another process has held the database locked for too long",
        ),
        (_, Some(8)) => StoreError::misconfigured(
            STORE,
            "the database can only be read: give this process the right to write the file, the files \
             beside it, and its directory",
        ),
        (_, Some(10)) => StoreError::unavailable(STORE, "the disk has failed to read or write"),
        (_, Some(11 | 26)) => StoreError::corrupt(
            STORE,
            "the file is damaged, or is no SQLite database. Restore it from a backup",
        ),
        (_, Some(13)) => StoreError::unavailable(STORE, "the disk is full: make room"),
        (_, Some(14)) => StoreError::misconfigured(
            STORE,
            "the database cannot be opened: its directory must exist, and this process must have the \
             right to write there",
        ),
        _ => StoreError::unavailable(
            STORE,
            "the database does not answer as it should: see the cause",
        ),
    };
    stated.with_source(error)
}

/// Another connection has the lock that this one needs.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    code(error) == Some(5)
}

/// Only the first byte, which what is above it details.
fn code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?.parse::<u32>().ok()?;
    Some(code & 0xff)
}
