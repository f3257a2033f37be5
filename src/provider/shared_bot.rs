//! Connections of one Notion user under several subjects, of which each may end the others.

use super::{Event, NotionAuthProvider};
use crate::{
    store::{Filter, RecordState},
    subject::Subject,
};

impl NotionAuthProvider {
    /// Tells of the first other subject with a connection of the same bot.
    pub(crate) async fn tell_of_shared_bot(&self, subject: &Subject, bot_id: &str) {
        let shared = self.shared();
        // This subject, and one more.
        let filter = Filter::Bot(bot_id.to_owned());
        let listed = shared.store.list(&shared.namespace, None, 2, filter);
        let others = shared.within(listed).await;
        let others = others.unwrap_or_else(|error| {
            tracing::warn!(%error, "it is not known whether others share the connection's bot");
            Vec::new()
        });
        let other = others
            .into_iter()
            .find(|it| it.subject != *subject && it.state != RecordState::Disconnected);
        if let Some(other) = other {
            self.shared().tell(Event::BotShared {
                subject: subject.clone(),
                other: other.subject,
            });
        }
    }
}
