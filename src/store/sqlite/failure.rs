use crate::store::StoreError;

/// The store's name in errors and logs.
pub(super) const NAME: &str = "sqlite";

/// Converts an error of SQLite, with advice. See <https://sqlite.org/rescode.html>.
pub(super) fn failed(error: sqlx::Error) -> StoreError {
    let stated = match (&error, code(&error)) {
        (sqlx::Error::PoolTimedOut, _) => StoreError::unavailable(
            NAME,
            "no connection became free in time: the disk is slow, or the database is locked",
        ),
        (sqlx::Error::PoolClosed, _) => {
            StoreError::unavailable(NAME, "the database was closed by this process")
        }
        (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_), _) => StoreError::corrupt(
            NAME,
            "a row cannot be read. Restore it from a backup, or delete it and connect again",
        ),
        (_, Some(1)) => StoreError::misconfigured(
            NAME,
            "the database lacks tables that it must have: was it changed by hand?",
        ),
        (_, Some(5 | 6)) => StoreError::unavailable(
            NAME,
            "another process has held the database locked for too long",
        ),
        (_, Some(8)) => StoreError::misconfigured(
            NAME,
            "the database can only be read: give this process the right to write the file, the files \
             beside it, and its directory",
        ),
        (_, Some(10)) => StoreError::unavailable(NAME, "the disk has failed to read or write"),
        (_, Some(11 | 26)) => StoreError::corrupt(
            NAME,
            "the file is damaged, or is not an SQLite database. Restore it from a backup",
        ),
        (_, Some(13)) => StoreError::unavailable(NAME, "the disk is full: make room"),
        (_, Some(18)) => StoreError::rejected(NAME, "the record is too large for SQLite"),
        (_, Some(14)) => StoreError::misconfigured(
            NAME,
            "the database cannot be opened: its directory must exist, and this process must have the \
             right to write there",
        ),
        _ => StoreError::unavailable(
            NAME,
            "the database does not answer as it should: see the cause",
        ),
    };
    stated.with_source(error)
}

/// Returns whether another connection holds the lock that this one needs.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    code(error) == Some(5)
}

/// Returns the primary result code: the low byte of the extended one.
fn code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?.parse::<u32>().ok()?;
    Some(code & 0xff)
}
