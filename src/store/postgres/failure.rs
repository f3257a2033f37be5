use std::sync::Arc;

use sqlx::{error::DatabaseError, postgres::PgDatabaseError};

use crate::store::{
    StoreError, StoreErrorKind,
    tls::{handshake_failed, tls_error},
};

use StoreErrorKind::{Corrupt, Misconfigured, Rejected, Unavailable};

/// The store's name in errors and logs.
pub(super) const NAME: &str = "postgres";

/// sqlx's error text when the server answers `N` to a request for TLS.
const NO_TLS: &str = "server does not support TLS";

const OWN_ROOT: &str = ", or add `sslrootcert` to the URL with such a file";

/// Converts an error of sqlx, with advice.
pub(super) fn failed(error: impl Into<Arc<sqlx::Error>>) -> StoreError {
    let error = error.into();
    let (kind, message) = match &*error {
        sqlx::Error::Database(error) => return refused(&**error),
        sqlx::Error::PoolClosed => (Unavailable, "the pool was closed by this process"),
        sqlx::Error::Io(io) => match tls_error(io) {
            Some(tls) => {
                let message = handshake_failed(tls, OWN_ROOT);
                return StoreError::misconfigured(NAME, message).with_source(error);
            }
            None => (
                Unavailable,
                "the server cannot be reached, or closed the connection: check that it runs, its host and port, and \
                 the network between",
            ),
        },
        // The causes of these errors may contain values of parameters or a file's content.
        sqlx::Error::Tls(cause) if cause.to_string() == NO_TLS => {
            return StoreError::misconfigured(
                NAME,
                "the server does not offer TLS: set `ssl = on` in its configuration, or, in a network that you \
                 trust, add `sslmode=disable` to the URL for plain text",
            );
        }
        sqlx::Error::Tls(_) => {
            return StoreError::misconfigured(
                NAME,
                "no TLS connection can be made: check the URL's host, and the files of `sslrootcert`, `sslcert` \
                 and `sslkey`",
            );
        }
        sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => {
            return StoreError::misconfigured(
                NAME,
                "the settings of the connection are not valid: check the files of `sslcert` and `sslkey`",
            );
        }
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::Decode(_) => (
            Misconfigured,
            "the tables are not as this crate makes them: compare them with `schema_sql()`",
        ),
        _ => (
            Unavailable,
            "the server's address does not answer as PostgreSQL does: check its host and port",
        ),
    };
    StoreError::new(kind, NAME, message).with_source(error)
}

pub(super) const NO_TABLE: &str = "a table is missing: call `migrate()`, or run `schema_sql()`, and check the role's `search_path`";

/// Returns the error for a standby or a read-only server.
pub(super) fn read_only(reason: &str) -> StoreError {
    StoreError::unavailable(
        NAME,
        format!(
            "the server is read-only ({reason}). After a failover, try again; otherwise connect to the primary, \
             and set `default_transaction_read_only` to off"
        ),
    )
}

/// Converts an error by its SQLSTATE, see <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
/// Advice is given only where the operator must act.
fn refused(error: &dyn DatabaseError) -> StoreError {
    let code = error.code().unwrap_or_default();
    let class = code.get(..2).unwrap_or_default();
    let reason = match shown(error, class) {
        Some(message) => format!("SQLSTATE {code}: {message}"),
        None => format!("SQLSTATE {code}"),
    };
    let (kind, advice) = match (&*code, class) {
        ("25006", _) => return read_only(&reason),
        ("28000" | "28P01", _) => (
            Misconfigured,
            "the server rejects the role or its password: check both, and `pg_hba.conf`, which may ask for TLS. \
             The server's log has the reason",
        ),
        ("42501", _) => (
            Misconfigured,
            "the role lacks a privilege: it needs USAGE on the schema, and SELECT, INSERT, UPDATE and DELETE on \
             both tables; for `migrate()`, also CREATE on the schema",
        ),
        ("42P01", _) => (Misconfigured, NO_TABLE),
        ("53100", _) => (Unavailable, "the server's disk is full: free space"),
        ("53300", _) => (
            Unavailable,
            "the server has too many connections: raise `max_connections` or the role's limit, use a pooler, \
             or make pools smaller",
        ),
        ("XX001" | "XX002", _) => (
            Corrupt,
            "the server found its files damaged: restore a backup",
        ),
        // A character that the database's encoding lacks, or a value that is too large.
        ("22021" | "22P05" | "54000", _) => (Rejected, "the server cannot keep this record"),
        (_, "22" | "23" | "28" | "3D" | "3F" | "42" | "54" | "P0") => {
            (Misconfigured, "the server rejected the operation")
        }
        _ => (Unavailable, "the server could not do the operation"),
    };
    StoreError::new(kind, NAME, format!("{advice} ({reason})"))
}

/// Returns the server's message if it contains no values. Its details are left out, because they contain
/// rows.
fn shown<'a>(error: &'a dyn DatabaseError, class: &str) -> Option<&'a str> {
    let error = error.try_downcast_ref::<PgDatabaseError>()?;
    // A message with a context comes from a trigger or a function and may contain a row. The exception is
    // the server's own message for a cancelled statement, from this file.
    let is_of_a_function = error.r#where().is_some() && error.file() != Some("postgres.c");
    // The names in these messages are those of the URL, and may be misplaced parts of a password.
    let has_names = matches!(class, "08" | "28" | "3D");
    (!is_of_a_function && !has_names && class != "P0").then(|| error.message())
}
