use std::fmt;

use serde_json::Value;

/// A new connection, as the token response that its client receives.
#[derive(Clone)]
#[non_exhaustive]
pub struct Grant {
    /// The response of the token endpoint.
    pub answer: Value,
}

impl Grant {
    /// Returns the access token.
    #[must_use]
    pub fn access_token(&self) -> &str {
        self.text("access_token").unwrap_or_default()
    }

    /// Returns the refresh token, or `None` if the server issues none.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&str> {
        self.text("refresh_token")
    }

    /// Returns the bot's ID, which is the same for every connection of the workspace.
    #[must_use]
    pub fn bot_id(&self) -> &str {
        self.text("bot_id").unwrap_or_default()
    }

    /// Returns the workspace's ID.
    #[must_use]
    pub fn workspace_id(&self) -> &str {
        self.text("workspace_id").unwrap_or_default()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.answer.get(name).and_then(Value::as_str)
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("bot_id", &self.bot_id())
            .field("workspace_id", &self.workspace_id())
            .finish_non_exhaustive()
    }
}
