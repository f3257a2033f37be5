//! Connections of one Notion user under several subjects, each of which may end the others.

use super::NotionAuthProvider;
use crate::{
    event::Event,
    store::{Filter, ListQuery, RecordState},
    subject::Subject,
};

impl NotionAuthProvider {
    /// Reports the first other subject with a connection of the same bot.
    pub(crate) async fn report_shared_bot(&self, subject: &Subject, bot_id: &str) {
        // This subject, and one more.
        let query = ListQuery::default()
            .filter(Filter::Bot(bot_id.to_owned()))
            .limit(2);
        let listed = match self.list(&query).await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(%error, "it is not known whether other subjects share the connection's bot");
                return;
            }
        };
        let other = listed
            .into_iter()
            .find(|it| it.subject != *subject && it.state != RecordState::Disconnected);
        if let Some(other) = other {
            self.engine().events.emit(Event::BotShared {
                subject: subject.clone(),
                other: other.subject,
            });
        }
    }
}
