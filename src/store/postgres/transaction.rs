use sqlx::{
    PgConnection, Postgres, Row,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::{
    connections::Connections,
    failure::{failed, read_only},
};
use crate::store::StoreError;

pub(super) type Statement<'a> = Query<'a, Postgres, PgArguments>;

/// A process that is suspended between its change and its commit loses the change after 3 s. Statements
/// that wait for the row fail after 4 s, and the provider's operation after 5 s.
///
/// The isolation level is set because, under a stricter default, an `UPDATE` that waited would fail instead
/// of reading the row again. Notices are off because sqlx logs them, and a trigger may put a row into one.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
     SET LOCAL client_min_messages = 'error'; \
     SET LOCAL idle_in_transaction_session_timeout = '3s'; \
     SET LOCAL lock_timeout = '4s'; \
     SELECT pg_is_in_recovery()";

/// One operation on one connection to a primary.
///
/// A single statement needs a transaction too: sqlx sends it in two steps, between which a pooler in
/// transaction mode may switch the connection.
///
/// If the transaction does not commit, its connection is closed, because it may lead to a standby or to an
/// unreachable server. sqlx's own transaction is not used: if dropped while it begins, it returns to the
/// pool still open. The application's next changes on that connection would never be committed.
pub(super) struct Transaction {
    connection: PoolConnection<Postgres>,
    is_committed: bool,
}

impl Transaction {
    pub(super) async fn begin(connections: &Connections) -> Result<Self, StoreError> {
        let mut transaction = Self {
            connection: connections.acquire().await?,
            is_committed: false,
        };
        let rows = sqlx::raw_sql(BEGIN).fetch_all(transaction.connection());
        let rows = rows.await.map_err(failed)?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound);
        match row.and_then(|row| row.try_get(0)).map_err(failed)? {
            // On a lagging standby, a spent token would look unspent.
            true => Err(read_only("pg_is_in_recovery() is true")),
            false => Ok(transaction),
        }
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        let committed = sqlx::raw_sql("COMMIT").execute(self.connection()).await;
        committed.map_err(failed)?;
        self.is_committed = true;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.is_committed {
            self.connection.close_on_drop();
        }
    }
}

/// Creates a statement that leaves no prepared statement behind, because a pooler may switch the
/// connection.
pub(super) fn statement(sql: &'static str) -> Statement<'static> {
    sqlx::query(sql).persistent(false)
}

/// Executes a statement. Returns the number of rows that it changed.
pub(super) async fn execute(
    connections: &Connections,
    statement: Statement<'_>,
) -> Result<u64, StoreError> {
    let mut transaction = Transaction::begin(connections).await?;
    let done = statement.execute(transaction.connection()).await;
    let done = done.map_err(failed)?;
    transaction.commit().await?;
    Ok(done.rows_affected())
}

/// Executes a statement. Returns its rows.
pub(super) async fn fetch(
    connections: &Connections,
    statement: Statement<'_>,
) -> Result<Vec<PgRow>, StoreError> {
    let mut transaction = Transaction::begin(connections).await?;
    let rows = statement.fetch_all(transaction.connection()).await;
    let rows = rows.map_err(failed)?;
    transaction.commit().await?;
    Ok(rows)
}
