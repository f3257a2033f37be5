use sqlx::{
    PgConnection, PgPool, Postgres, SqlSafeStr,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::failure::failed;
use crate::store::StoreError;

pub(super) type Statement<'a> = Query<'a, Postgres, PgArguments>;

/// A process that is suspended between its change and its commit loses the change before those who
/// wait for the row give up, and those give up before the provider does.
///
/// sqlx logs notices, and what a trigger notes may be a row.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
     SET LOCAL client_min_messages = 'error'; \
     SET LOCAL idle_in_transaction_session_timeout = '3s'; \
     SET LOCAL lock_timeout = '4s'";

/// One operation on one connection.
///
/// A pooler may lend out another connection after each transaction, and a statement goes over in two
/// steps, so one statement is a transaction, too.
///
/// Not sqlx's own: let go of while it begins, that one gives back to the pool a connection on which a
/// transaction is open, and whoever gets it next believes to commit and does not. Of this one, if it
/// does not come to its end, the connection is closed.
pub(super) struct Transaction {
    connection: PoolConnection<Postgres>,
    is_over: bool,
}

impl Transaction {
    pub(super) async fn begin(pool: &PgPool) -> Result<Self, StoreError> {
        let mut transaction = Self {
            connection: pool.acquire().await.map_err(failed)?,
            is_over: false,
        };
        transaction.say(BEGIN).await?;
        Ok(transaction)
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Commits what was done, or undoes it if it failed.
    pub(super) async fn end<T>(mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        match done {
            Ok(_) => {
                self.say("COMMIT").await?;
                self.is_over = true;
            }
            Err(_) => self.is_over = self.say("ROLLBACK").await.is_ok(),
        }
        done
    }

    async fn say(&mut self, words: &'static str) -> Result<(), StoreError> {
        let said = sqlx::raw_sql(words).execute(&mut *self.connection).await;
        said.map(drop).map_err(failed)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.is_over {
            self.connection.close_on_drop();
        }
    }
}

/// A statement that leaves nothing prepared behind: the next one may be on another connection.
pub(super) fn statement<'a>(sql: impl SqlSafeStr) -> Statement<'a> {
    sqlx::query(sql).persistent(false)
}

/// One statement, by itself. Answers how many rows it changed.
pub(super) async fn execute(pool: &PgPool, statement: Statement<'_>) -> Result<u64, StoreError> {
    let mut transaction = Transaction::begin(pool).await?;
    let done = statement.execute(transaction.connection()).await;
    let done = transaction.end(done.map_err(failed)).await?;
    Ok(done.rows_affected())
}

/// One question, by itself.
pub(super) async fn fetch(
    pool: &PgPool,
    statement: Statement<'_>,
) -> Result<Vec<PgRow>, StoreError> {
    let mut transaction = Transaction::begin(pool).await?;
    let rows = statement.fetch_all(transaction.connection()).await;
    transaction.end(rows.map_err(failed)).await
}
