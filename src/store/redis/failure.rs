use std::{error::Error as _, io, sync::Arc};

use redis::{ErrorKind, RedisError, ServerError};

use super::store::NAME;
use crate::store::{
    StoreError, StoreErrorKind,
    tls::{handshake_failed, tls_error},
};

use StoreErrorKind::{Corrupt, Misconfigured, Unavailable};

/// What an error of Redis means, and what to do.
pub(super) fn failed(error: RedisError) -> StoreError {
    let refusal = error.clone().into_server_errors();
    match refusal.as_deref().and_then(<[_]>::first) {
        Some((_, refusal)) => refused(refusal, error),
        None => lost(error),
    }
}

/// The codes with which Redis begins its errors. What it says after these has no values in it.
fn meaning(code: &str) -> Option<(StoreErrorKind, &'static str)> {
    Some(match code {
        "NOAUTH" | "WRONGPASS" => (Misconfigured, PASSWORD),
        "NOPERM" => (Misconfigured, PERMISSION),
        "READONLY" | "MASTERDOWN" => (Unavailable, REPLICA),
        "OOM" => (
            Unavailable,
            "the server has no memory left: raise maxmemory, or remove what is not needed",
        ),
        "MISCONF" => (
            Unavailable,
            "the server cannot write to its disk: make room there, and read its log",
        ),
        "LOADING" => (Unavailable, LOADING),
        "BUSY" => (
            Unavailable,
            "the server is held up by somebody's script: SCRIPT KILL ends it",
        ),
        "NOREPLICAS" => (
            Unavailable,
            "the server has fewer replicas than min-replicas-to-write asks for: bring them back",
        ),
        "CLUSTERDOWN" | "TRYAGAIN" => (
            Unavailable,
            "the cluster is not complete, or moves its slots: wait, or bring its nodes back",
        ),
        "MOVED" | "ASK" => (
            Misconfigured,
            "the server is one of several nodes that share the keys, and this store speaks with one: give \
             it one that has all slots, or a proxy",
        ),
        "WRONGTYPE" => (
            Corrupt,
            "a key with the store's prefix is of another type, and so another application's: give each a \
             prefix of its own",
        ),
        _ => return None,
    })
}

const PERMISSION: &str = "the user may not do what a store must: allow it the commands that the documentation of \
                          RedisStore lists, on the keys that begin with the prefix";

const PASSWORD: &str = "the server does not accept the user and password: put the right ones in the URL, as in \
                        redis://user:password@host";

const LOADING: &str = "the server has started and still reads what it has stored: wait";

pub(super) const REPLICA: &str = "the server is a replica, perhaps since a failover, and only a primary counts: connect to \
                       the primary";

fn refused(refusal: &ServerError, error: RedisError) -> StoreError {
    let details = refusal.details().unwrap_or_default();
    let begins = |words| details.starts_with(words);
    let (kind, message) = match (refusal.code(), meaning(refusal.code())) {
        (_, Some((kind, message))) => {
            return StoreError::new(kind, NAME, message).with_source(error);
        }
        ("ERR", _) if begins("The user executing the script can't") => (Misconfigured, PERMISSION),
        // What follows may be the command's arguments, so the cause is not told.
        ("ERR", _) if begins("unknown command") || begins("Unknown Redis command") => (
            Misconfigured,
            "the server does not know a command that a store needs: it is too old, or the command was \
             renamed. The documentation of RedisStore lists them",
        ),
        ("ERR", _) if begins("max number of clients") => (
            Unavailable,
            "the server has as many clients as it takes: raise maxclients",
        ),
        _ => (
            Unavailable,
            "the server refuses what it was asked, for a reason that is not known here: read its log",
        ),
    };
    StoreError::new(kind, NAME, message)
}

/// No answer at all, or none that is one.
fn lost(error: RedisError) -> StoreError {
    if let Some(message) = handshake(&error) {
        return StoreError::misconfigured(NAME, message).with_source(error);
    }
    let (kind, message) = match error.kind() {
        ErrorKind::AuthenticationFailed => (Misconfigured, PASSWORD),
        ErrorKind::RESP3NotSupported => (
            Misconfigured,
            "the server is older than Redis 7: upgrade it",
        ),
        // Its cause may be a piece of the URL.
        ErrorKind::InvalidClientConfig => {
            return StoreError::misconfigured(NAME, "the settings of the connection are not valid");
        }
        // As for a database that it does not have.
        ErrorKind::Server(_) => (
            Misconfigured,
            "the server refuses the connection: does it have the database with the URL's number?",
        ),
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => return strange(),
        _ if error.is_timeout() => return too_slow().with_source(error),
        _ if error.is_connection_refusal() => (
            Unavailable,
            "nobody answers at the server's address: start the server, or correct the address",
        ),
        _ if error.is_connection_dropped() => (
            Unavailable,
            "the connection was lost before the answer came: ask again",
        ),
        _ => (Unavailable, "the server cannot be reached: see the cause"),
    };
    StoreError::new(kind, NAME, message).with_source(error)
}

/// What failed in a TLS handshake, if that is where the connection ended.
fn handshake(error: &RedisError) -> Option<String> {
    let shared = error.source()?;
    let shared = shared.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
    let error = tls_error(shared.downcast_ref::<io::Error>()?)?;
    Some(handshake_failed(error, ""))
}

pub(super) fn loading() -> StoreError {
    StoreError::unavailable(NAME, LOADING)
}

pub(super) fn too_slow() -> StoreError {
    StoreError::unavailable(
        NAME,
        "the server has not answered in time: it is busy, or the network does not reach it",
    )
}

/// Without what was answered, which may be secret.
pub(super) fn strange() -> StoreError {
    StoreError::unavailable(
        NAME,
        "what answers there does not speak as Redis does: is the address right?",
    )
}
