use std::{error::Error as _, io, sync::Arc};

use redis::{ErrorKind, RedisError};

use crate::store::{
    StoreError, StoreErrorKind,
    tls::{handshake_failed, tls_error},
};

use StoreErrorKind::{Corrupt, Misconfigured, Unavailable};

/// The store's name in errors and logs.
pub(super) const NAME: &str = "redis";

/// Converts an error of Redis: its kind, the server's message, and advice.
pub(super) fn failed(error: RedisError) -> StoreError {
    match error.code() {
        Some(code) => refused(code, error.detail().unwrap_or_default()),
        None => lost(error),
    }
}

/// Returns whether the connection must be replaced: there was no response, or it came from a server that is
/// not a ready primary. Another server may have the same address by now.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    match error.code() {
        None => true,
        Some(code) => [
            "CLUSTERDOWN",
            "LOADING",
            "MASTERDOWN",
            "NOAUTH",
            "NOREPLICAS",
            "READONLY",
        ]
        .contains(&code),
    }
}

fn refused(code: &str, details: &str) -> StoreError {
    let (kind, advice) = match code {
        "NOAUTH" | "WRONGPASS" => (Misconfigured, PASSWORD),
        "NOPERM" => (Misconfigured, PERMISSION),
        "OOM" => (Unavailable, "raise `maxmemory`, or remove other data"),
        "MISCONF" => (
            Unavailable,
            "the server cannot write to its disk; make room there, and read its log",
        ),
        "LOADING" => (
            Unavailable,
            "the server was started and still reads its data; wait",
        ),
        "READONLY" | "MASTERDOWN" => (
            Unavailable,
            "it is a replica, perhaps since a failover. The store connects again; if the error stays, correct the \
             address to that of the primary",
        ),
        "CLUSTERDOWN" => (
            Unavailable,
            "the cluster is not complete, or moves its slots; wait, or bring its nodes back",
        ),
        "WRONGTYPE" => (
            Corrupt,
            "another application has a key that begins with this store's prefix; use another prefix",
        ),
        "MOVED" | "ASK" | "CROSSSLOT" | "DENIED" => (Misconfigured, ""),
        "ERR" if begins(details, &["AUTH "]) => (Misconfigured, PASSWORD),
        // The error of a command in a script, in Redis 7.0.
        "ERR" if begins(details, &["The user executing the script can't"]) => {
            (Misconfigured, PERMISSION)
        }
        "ERR" if begins(details, &SETTINGS) => (Misconfigured, ""),
        _ => (Unavailable, ""),
    };
    // The command's arguments follow, which may be secret.
    let details = details.split(", with args").next().unwrap_or_default();
    let details: String = details.chars().take(LONGEST).collect();
    let answer = format!("the server answered \"{code} {details}\"");
    let message = match advice {
        "" => answer,
        advice => format!("{answer}: {advice}"),
    };
    StoreError::new(kind, NAME, message)
}

/// Maximum length of a quoted message. Some servers answer with a page of advice.
const LONGEST: usize = 200;

const PASSWORD: &str = "correct the user and password in the URL, as in redis://user:password@host";

const PERMISSION: &str = "allow the user the commands that the documentation of `RedisStore` lists, on the keys that \
                          begin with the prefix";

/// Prefixes of `ERR` messages that waiting does not resolve.
const SETTINGS: [&str; 5] = [
    "DB index is out of range",
    "invalid DB index",
    "SELECT is not allowed in cluster mode",
    "unknown command",
    "Unknown Redis command",
];

fn begins(details: &str, with: &[&str]) -> bool {
    with.iter().any(|it| details.starts_with(it))
}

/// Converts an error without a valid response.
fn lost(error: RedisError) -> StoreError {
    if let Some(message) = handshake(&error) {
        return StoreError::misconfigured(NAME, message).with_source(error);
    }
    let (kind, message) = match error.kind() {
        // The cause may contain a part of the URL.
        ErrorKind::InvalidClientConfig => {
            return StoreError::misconfigured(NAME, "the settings of the client are not valid");
        }
        // The cause may contain the response, which may be secret.
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => return strange(),
        _ if error.is_timeout() => (
            Unavailable,
            "the server has not answered in time: it is busy, the network does not reach it, or it does not \
             speak TLS on that port (rediss://)",
        ),
        _ if error.is_connection_refusal() => (
            Unavailable,
            "no server listens at the address: start the server, or correct the address",
        ),
        _ if error.is_connection_dropped() => (
            Unavailable,
            "the connection was lost before the answer came: try again",
        ),
        _ => (Unavailable, "the server cannot be reached: see the cause"),
    };
    StoreError::new(kind, NAME, message).with_source(error)
}

/// Describes the failed TLS handshake, if that is what ended the connection.
fn handshake(error: &RedisError) -> Option<String> {
    let shared = error.source()?;
    let shared = shared.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
    let error = tls_error(shared.downcast_ref::<io::Error>()?)?;
    Some(handshake_failed(error, ""))
}

/// Returns the error for a response that Redis does not send. It is not shown, because it may be secret.
pub(super) fn strange() -> StoreError {
    StoreError::unavailable(
        NAME,
        "the server's response is not one of Redis: correct the address",
    )
}
