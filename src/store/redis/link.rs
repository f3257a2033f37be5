use std::time::Duration;

use redis::{
    FromRedisValue, Pipeline, RedisError, Value, aio::ConnectionManager, from_redis_value,
};

use super::failure;
use crate::store::StoreError;

/// Less than the provider waits for one operation.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// What became of one command.
pub(super) type Answer = Result<Value, RedisError>;

/// The connection, by which commands are sent. The manager itself sends nothing twice: if it loses its
/// connection, all who wait for answers are told so, and it connects again.
#[derive(Clone)]
pub(super) struct Link(ConnectionManager);

impl Link {
    pub(super) fn new(manager: ConnectionManager) -> Self {
        Self(manager)
    }

    /// Sends the commands, once. The server takes them in this order.
    pub(super) async fn send(&self, commands: &Pipeline) -> Result<Vec<Answer>, StoreError> {
        in_time(self.attempt(commands)).await
    }

    /// The same for commands that may be done twice: if the connection is found to be lost, as after a
    /// restart of the server, they are sent again by a new one.
    pub(super) async fn send_repeatable(
        &self,
        commands: &Pipeline,
    ) -> Result<Vec<Answer>, StoreError> {
        in_time(async {
            match self.attempt(commands).await {
                Err(error) if error.is_connection_dropped() => self.attempt(commands).await,
                sent => sent,
            }
        })
        .await
    }

    async fn attempt(&self, commands: &Pipeline) -> Result<Vec<Answer>, RedisError> {
        let mut manager = self.0.clone();
        commands.query_async(&mut manager).await
    }
}

async fn in_time<T>(sent: impl Future<Output = Result<T, RedisError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, sent).await {
        Ok(sent) => sent.map_err(failure::failed),
        Err(_) => Err(failure::too_slow()),
    }
}

/// Commands to be sent together. What one of them answers, also an error, is its own.
pub(super) fn commands() -> Pipeline {
    let mut commands = Pipeline::new();
    commands.ignore_errors();
    commands
}

/// The answers, of which there must be so many.
pub(super) fn exactly<const N: usize>(answers: Vec<Answer>) -> Result<[Answer; N], StoreError> {
    answers.try_into().map_err(|_| failure::strange())
}

/// What a command that must not fail has answered.
pub(super) fn understood<T: FromRedisValue>(answer: Answer) -> Result<T, StoreError> {
    let value = answer.map_err(failure::failed)?;
    // Its own error would show the value.
    from_redis_value(value).map_err(|_| failure::strange())
}

pub(super) fn is_of_another_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}
