use sqlx::error::DatabaseError;

use super::store::NAME;
use crate::store::{
    StoreError,
    tls::{handshake_failed, tls_error},
};

/// What the server said. Its details are left out: they show rows.
#[derive(Debug, thiserror::Error)]
#[error("{message} (SQLSTATE {code})")]
struct Refusal {
    code: String,
    message: String,
}

/// sqlx's text for a server that answers `N` to a request for TLS.
const NO_TLS: &str = "server does not support TLS";

const OWN_ROOT: &str = ", or add `sslrootcert` to the URL with such a file";

/// What an error means, and what to do.
pub(super) fn failed(error: sqlx::Error) -> StoreError {
    let stated = match &error {
        sqlx::Error::Database(error) => return refused(&**error),
        sqlx::Error::PoolTimedOut => StoreError::unavailable(
            NAME,
            "no connection came in time: the server is down or slow, its address is wrong, or all \
             connections of the pool are in use",
        ),
        sqlx::Error::PoolClosed => {
            StoreError::unavailable(NAME, "the pool was closed by this process")
        }
        sqlx::Error::Io(error) => match tls_error(error) {
            Some(error) => StoreError::misconfigured(NAME, handshake_failed(error, OWN_ROOT)),
            None => StoreError::unavailable(
                NAME,
                "the server cannot be reached, or went away: look whether it runs, and at its address",
            ),
        },
        // The causes of these may be values of parameters, or a file's content.
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
        | sqlx::Error::Decode(_) => other_columns(),
        _ => StoreError::unavailable(
            NAME,
            "what is at the server's address does not answer as PostgreSQL does",
        ),
    };
    stated.with_source(error)
}

fn other_columns() -> StoreError {
    StoreError::misconfigured(
        NAME,
        "the tables are not as this crate makes them: compare them with `schema_sql()`, and look at the \
         schema's and the table's names",
    )
}

/// By SQLSTATE. <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn refused(error: &dyn DatabaseError) -> StoreError {
    let unavailable = |message: &str| StoreError::unavailable(NAME, message);
    let misconfigured = |message: &str| StoreError::misconfigured(NAME, message);
    let code = error.code().unwrap_or_default().into_owned();
    let stated = match (&*code, code.get(..2).unwrap_or_default()) {
        ("42P01", _) => misconfigured(
            "a table is not there: call `migrate()`, or run what `schema_sql()` gives; or the schema's or \
             the table's name is another",
        ),
        ("3F000", _) => {
            misconfigured("the schema is not there: create it, or give another by `schema()`")
        }
        ("42501", _) => misconfigured(
            "the role may not do this. It needs USAGE on the schema, and SELECT, INSERT, UPDATE and DELETE on \
             both tables; for `migrate()`, also CREATE on the schema",
        ),
        ("25006", _) => misconfigured(
            "the database can only be read: connect to the primary, and see that \
             `default_transaction_read_only` is off",
        ),
        ("28000" | "28P01", _) => misconfigured(
            "the server does not let this role in: look at the role's name, its password, and `pg_hba.conf`, \
             which may ask for TLS. The server's log has the reason",
        ),
        ("3D000", _) => misconfigured("the database is not there: look at its name in the URL"),
        ("53100", _) => unavailable("the server has no disk space left: make room"),
        ("53300", _) => unavailable(
            "the server has no connection left: raise `max_connections`, use a pooler, or let pools be \
             smaller",
        ),
        ("54000", _) => {
            misconfigured("namespace and subject are too long for an index of the server")
        }
        ("22021" | "22P05", _) => misconfigured(
            "the database cannot keep a character of the subject or the namespace: its encoding must be UTF8",
        ),
        ("55P03", _) => {
            unavailable("somebody else has held the row locked for too long: see `pg_locks`")
        }
        ("40001" | "40P01", _) => unavailable("the server gave this up in favour of another"),
        ("25P03", _) => unavailable(
            "this process was suspended in the middle of an operation, which the server has undone",
        ),
        ("57014", _) => unavailable(
            "the server was slower than its `statement_timeout` allows, or somebody cancelled the statement",
        ),
        ("XX001" | "XX002", _) => StoreError::corrupt(
            NAME,
            "the server has found its files damaged. Restore a backup",
        ),
        (_, "57") => unavailable("the server is starting or stopping"),
        (_, "42") => other_columns(),
        (_, "22" | "23" | "P0") => misconfigured(
            "the server does not take the record: has the table a constraint, a trigger or a policy that \
             is not of this crate?",
        ),
        _ => unavailable("the server, or the pooler before it, could not do it"),
    };
    let message = match code.get(..2) {
        // What a trigger says may be a row.
        Some("P0") => "an exception of a trigger or a function".to_owned(),
        // Names of the URL, which may be misplaced parts of a password.
        Some("28" | "3D") => "a refusal of the role or the database".to_owned(),
        _ => error.message().to_owned(),
    };
    stated.with_source(Refusal { code, message })
}
