//! Connections of one Notion user under several subjects. A revocation of one may revoke the others.

use super::{NotionAuthProvider, connections::ConnectionStatus};
use crate::{
    error::AuthError,
    event::Event,
    store::{Filter, ListQuery, RecordState},
    subject::Subject,
};

impl NotionAuthProvider {
    /// Reports the first other subject with a connection of the same bot.
    pub(crate) async fn report_shared_bot(&self, subject: &Subject, bot_id: &str) {
        let connected = match self.connected_by(bot_id).await {
            Ok(connected) => connected,
            Err(error) => {
                tracing::warn!(%error, "it is not known whether other subjects share the connection's bot");
                return;
            }
        };
        let other = connected.into_iter().find(|it| it.subject != *subject);
        if let Some(other) = other {
            self.engine().events.emit(Event::BotShared {
                subject: subject.clone(),
                other: other.subject,
            });
        }
    }
    /// Returns up to two connections of this bot.
    async fn connected_by(&self, bot_id: &str) -> Result<Vec<ConnectionStatus>, AuthError> {
        let query = ListQuery::default()
            .filter(Filter::Bot(bot_id.to_owned()))
            .limit(2);
        let mut listed = self.list(&query).await?;
        listed.retain(|it| it.state != RecordState::Disconnected);
        Ok(listed)
    }
}
