//! The connection to the server, which is replaced when it fails, and script calls.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue, RedisConnectionInfo, RedisError,
    Value, aio::MultiplexedConnection, cmd,
};
use rustls::crypto::{CryptoProvider, ring};
use tokio::time::{Instant, timeout};

use super::failure::{ends_connection, failed};
use crate::store::StoreError;

/// Time limit of a command, including connecting. Less than the provider waits for an operation.
const PATIENCE: Duration = Duration::from_secs(4);

/// Time limit for the response to a command.
const RESPONSE: Duration = Duration::from_secs(3);

/// Time limit for a new connection, with TLS and authentication.
const CONNECT: Duration = Duration::from_secs(2);

/// Time without a response after which a connection is checked before use. Servers and networks close idle
/// connections, and the outcome of a command on such a connection would be unknown.
const IDLE: Duration = Duration::from_secs(1);

/// Time limit for the response to that check.
const CHECK: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One connection for all operations. When it fails, it is dropped, and the next command opens a new one.
///
/// The redis crate's `ConnectionManager` keeps a connection after a timeout, and one to a server that has
/// become a replica.
pub(super) struct Connection {
    client: ConnectionInfo,
    slot: tokio::sync::Mutex<Slot>,
}

/// Locked while a connection is opened or checked, so that this happens once.
#[derive(Default)]
struct Slot {
    live: Option<Arc<Live>>,
    /// Number of consecutive connections that could not be opened, or failed before they answered a
    /// command.
    failures: u32,
    last_failure: Option<Failure>,
}

struct Live {
    connection: MultiplexedConnection,
    state: Mutex<State>,
}

struct State {
    answered_at: Instant,
    /// Time since which no command has been answered. The command may be that of an operation that was
    /// dropped.
    unanswered_since: Option<Instant>,
    /// Whether the connection has answered a command, not only a check.
    is_proven: bool,
    failure: Option<Failure>,
}

#[derive(Clone)]
struct Failure {
    cause: RedisError,
    at: Instant,
}

impl Connection {
    /// Creates a connection to the client's server, by its address, TLS, user, password and database.
    pub(super) fn new(client: &Client) -> Self {
        Self {
            client: client.get_connection_info().clone(),
            slot: tokio::sync::Mutex::default(),
        }
    }

    /// Sends the command once.
    pub(super) async fn send<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.ask(command).await.map_err(failed)
    }

    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        within(PATIENCE, async {
            let live = self.live().await?;
            let answer = live.ask(command, RESPONSE).await;
            live.state().is_proven |= answer.is_ok();
            answer
        })
        .await
    }

    /// Opens a connection if there is none.
    pub(super) async fn establish(&self) -> Result<(), StoreError> {
        self.live().await.map(drop).map_err(failed)
    }

    async fn live(&self) -> Result<Arc<Live>, RedisError> {
        let mut slot = self.slot.lock().await;
        if let Some(live) = slot.live.clone() {
            match live.check().await {
                Ok(()) => return Ok(live),
                Err(failure) => {
                    slot.live = None;
                    if live.state().is_proven {
                        slot.failures = 0;
                    }
                    slot.note(failure);
                }
            }
        }
        let last = slot.last_failure.as_ref();
        if let Some(failure) = last.filter(|it| it.at.elapsed() < slot.pause()) {
            return Err(failure.cause.clone());
        }
        match within(CONNECT, connect(&self.client)).await {
            Ok(connection) => Ok(Arc::clone(
                slot.live.insert(Arc::new(Live::new(connection))),
            )),
            Err(cause) => {
                slot.note(Failure::now(&cause));
                Err(cause)
            }
        }
    }
}

/// A script that Redis runs atomically, if the server is a primary.
macro_rules! script {
    ($name:literal) => {
        concat!(
            include_str!("scripts/primary.lua"),
            include_str!(concat!("scripts/", $name, ".lua"))
        )
    };
}
pub(super) use script;

/// Returns the call of a script, to which the script's own arguments are appended.
pub(super) fn call(script: &str, keys: &[String]) -> Cmd {
    let mut call = cmd("EVAL");
    call.arg(script).arg(keys.len()).arg(keys);
    call
}

impl Slot {
    fn note(&mut self, failure: Failure) {
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some(failure);
    }

    /// Returns how long the last failure is returned instead of opening a new connection.
    ///
    /// There is no pause after the first failure, because most often the server closed an idle connection
    /// and accepts a new one.
    fn pause(&self) -> Duration {
        match self.failures {
            0 | 1 => Duration::ZERO,
            2..=6 => Duration::from_millis(25 << (self.failures - 1)),
            _ => LONGEST_PAUSE,
        }
    }
}

impl Failure {
    fn now(cause: &RedisError) -> Self {
        Self {
            cause: cause.clone(),
            at: Instant::now(),
        }
    }
}

impl Live {
    fn new(connection: MultiplexedConnection) -> Self {
        let state = State {
            answered_at: Instant::now(),
            unanswered_since: None,
            is_proven: false,
            failure: None,
        };
        Self {
            connection,
            state: Mutex::new(state),
        }
    }

    /// Sends the command, and records whether the connection is still usable.
    async fn ask<T: FromRedisValue>(
        &self,
        command: &Cmd,
        limit: Duration,
    ) -> Result<T, RedisError> {
        let mut connection = self.connection.clone();
        let now = Instant::now();
        self.state().unanswered_since.get_or_insert(now);
        let answer = within(limit, command.query_async(&mut connection)).await;
        let mut state = self.state();
        match &answer {
            Err(error) if ends_connection(error) => state.failure = Some(Failure::now(error)),
            _ => {
                state.answered_at = Instant::now();
                state.unanswered_since = None;
            }
        }
        answer
    }

    /// Checks whether the connection is usable.
    async fn check(&self) -> Result<(), Failure> {
        let (is_idle, is_silent) = {
            let state = self.state();
            let unanswered_since = state.unanswered_since;
            (
                state.answered_at.elapsed() >= IDLE,
                unanswered_since.is_some_and(|since| since.elapsed() >= RESPONSE),
            )
        };
        if is_silent {
            self.state().failure = Some(Failure::now(&timed_out()));
        } else if is_idle {
            // `ask` records the outcome. Any response is sufficient.
            let _ = self.ask::<Value>(&cmd("PING"), CHECK).await;
        }
        match &self.state().failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a connection, authenticates, and checks that it answers.
///
/// The redis crate can authenticate too, but reports every refusal as a wrong password. With RESP3 it sends
/// `HELLO`, which some managed servers refuse.
async fn connect(info: &ConnectionInfo) -> Result<MultiplexedConnection, RedisError> {
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        have_provider();
    }
    let plain = RedisConnectionInfo::default().set_skip_set_lib_name();
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let client = Client::open(info.clone().set_redis_settings(plain).set_tcp_settings(tcp))?;
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let settings = info.redis_settings();
    if let Some(password) = settings.password() {
        let mut auth = cmd("AUTH");
        auth.arg(settings.username()).arg(password);
        auth.exec_async(&mut connection).await?;
    }
    if settings.db() != 0 {
        let mut select = cmd("SELECT");
        select.arg(settings.db());
        select.exec_async(&mut connection).await?;
    }
    match cmd("PING").exec_async(&mut connection).await {
        Err(error) if ends_connection(&error) => Err(error),
        _ => Ok(connection),
    }
}

/// Selects a default provider. rustls would panic if the program's dependencies enable more than one.
fn have_provider() {
    if CryptoProvider::get_default().is_none() {
        // It is not a problem if another thread was faster.
        let _ = ring::default_provider().install_default();
    }
}

async fn within<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    timeout(limit, asked)
        .await
        .unwrap_or_else(|_| Err(timed_out()))
}

fn timed_out() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}
