use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool, Postgres, Row,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{sync::Mutex, time::timeout};

use super::failure::{NAME, failed};
use crate::store::StoreError;

const CONNECTIONS: u32 = 10;

/// Together with [`PROBE`], less than the 5 s that the provider waits for an operation.
const ACQUIRE: Duration = Duration::from_secs(3);
const PROBE: Duration = Duration::from_secs(1);

/// A connection pool, with a diagnosis when it provides no connection.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) pool: PgPool,
    last_probe: Arc<Mutex<Option<(Instant, Probed)>>>,
}

/// The result of a connection attempt outside the pool. It is shared by the operations that wait for it.
type Probed = Result<(), Arc<sqlx::Error>>;

impl Connections {
    /// Creates a pool of this crate. Idle connections that no longer lead to a primary are closed before
    /// use. sqlx's own check has no time limit.
    pub(super) fn with_options(options: PgConnectOptions) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(async { Ok(is_writable(connection).await) }))
            .connect_lazy_with(options);
        Self::of_pool(pool)
    }

    pub(super) fn of_pool(pool: PgPool) -> Self {
        Self {
            pool,
            last_probe: Arc::default(),
        }
    }

    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        match timeout(ACQUIRE, self.pool.acquire()).await {
            Ok(Ok(connection)) => Ok(connection),
            Err(_) | Ok(Err(sqlx::Error::PoolTimedOut)) => Err(self.why_none_came().await),
            Ok(Err(error)) => Err(failed(error)),
        }
    }

    /// Finds out why the pool provided no connection. The pool retries refused connections and only reports
    /// a timeout.
    async fn why_none_came(&self) -> StoreError {
        // One probe at a time, so that a server in trouble does not get a connection attempt for each
        // operation.
        let mut last = self.last_probe.lock().await;
        let probed = match &*last {
            Some((at, probed)) if at.elapsed() < PROBE => probed.clone(),
            _ => {
                let probed = probe(&self.pool.connect_options()).await;
                last.insert((Instant::now(), probed)).1.clone()
            }
        };
        match probed {
            Ok(()) => {
                // Idle connections are unusable here: the pool would wait for each of them.
                while let Some(mut connection) = self.pool.try_acquire() {
                    connection.close_on_drop();
                }
                StoreError::unavailable(
                    NAME,
                    "the pool gave no connection in time, although the server accepts connections: the pool's \
                     are all in use, or led nowhere. Try again, and raise its `max_connections`",
                )
            }
            Err(error) => failed(error),
        }
    }
}

async fn is_writable(connection: &mut PgConnection) -> bool {
    // `transaction_read_only` is on at a standby.
    let read = sqlx::raw_sql("SHOW transaction_read_only").fetch_one(connection);
    let Ok(Ok(row)) = timeout(PROBE, read).await else {
        return false;
    };
    row.try_get::<&str, _>(0).is_ok_and(|value| value == "off")
}

async fn probe(options: &PgConnectOptions) -> Probed {
    let connected = timeout(PROBE, async { options.connect().await?.close().await });
    match connected.await {
        Ok(probed) => probed.map_err(Arc::new),
        Err(_) => Err(Arc::new(io::Error::from(io::ErrorKind::TimedOut).into())),
    }
}
