use std::{fmt, time::SystemTime};

use http::HeaderValue;
use serde_json::{Map, Value};

use super::{AccessToken, ExposedCredentials, IdToken, InvalidToken, RefreshToken};

/// OAuth tokens of a user who connected a workspace, and the workspace's metadata.
///
/// Returned by [`OAuthFlow::exchange`](crate::oauth::OAuthFlow::exchange), or deserialized from JSON that
/// this crate or another implementation of the same model wrote:
///
/// ```
/// use notion_auth::NotionUserCredentials;
///
/// let json = r#"{"access_token":"ntn_1","token_type":"Bearer","refresh_token":"nrt_1",
///     "scope":["read","write"],"expires_in":null,"expires_at":null,"id_token":null,
///     "workspace_id":"w1","workspace_name":"Acme","workspace_icon":null,
///     "raw":{"bot_id":"b1","duplicated_template_id":null}}"#;
///
/// let credentials: NotionUserCredentials = serde_json::from_str(json)?;
/// assert_eq!(credentials.workspace_name.as_deref(), Some("Acme"));
/// assert_eq!(credentials.bot_id(), Some("b1"));
///
/// // Tokens are serialised only through the wrapper that says so.
/// let written = serde_json::to_value(credentials.expose_tokens())?;
/// assert_eq!(written, serde_json::from_str::<serde_json::Value>(json)?);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// Deserialization also accepts missing or null optional fields, `scope` as one string separated by spaces,
/// and `expires_at` with a fraction. Tokens inside `raw` are dropped, so that no token is stored twice.
/// Other members are kept in `raw`.
#[derive(Clone)]
#[non_exhaustive]
pub struct NotionUserCredentials {
    /// The access token of the workspace.
    pub access_token: AccessToken,
    /// The authentication scheme of the access token. This crate can use only `Bearer`.
    pub token_type: String,
    /// The refresh token. It can be exchanged once.
    pub refresh_token: Option<RefreshToken>,
    /// The granted scopes, if the server sent them.
    pub scope: Option<Vec<String>>,
    /// Lifetime of the access token in seconds, counted from the token response. It is informative only:
    /// `expires_at` decides about expiry.
    pub expires_in: Option<u64>,
    /// Expiry of the access token, UTC. Unix seconds in JSON. Notion does not send it.
    pub expires_at: Option<SystemTime>,
    /// An OpenID Connect ID token, if the server sent one.
    pub id_token: Option<IdToken>,
    /// The workspace's ID.
    pub workspace_id: Option<String>,
    /// The workspace's name.
    pub workspace_name: Option<String>,
    /// The workspace's icon: a URL or an emoji. An icon of more than 64 KiB is not serialized, and
    /// therefore not stored.
    pub workspace_icon: Option<String>,
    /// The other members of the token response, without tokens.
    pub raw: Map<String, Value>,
}

impl NotionUserCredentials {
    /// Creates credentials from an access token alone, without a refresh token and with unknown expiry.
    #[must_use]
    pub fn new(access_token: AccessToken) -> Self {
        Self {
            access_token,
            token_type: "Bearer".to_owned(),
            refresh_token: None,
            scope: None,
            expires_in: None,
            expires_at: None,
            id_token: None,
            workspace_id: None,
            workspace_name: None,
            workspace_icon: None,
            raw: Map::new(),
        }
    }

    /// Returns the ID of the bot user that represents this connection in Notion.
    #[must_use]
    pub fn bot_id(&self) -> Option<&str> {
        self.raw.get("bot_id")?.as_str()
    }

    /// Returns the icon unless it is too large to be stored. It may be a picture in a data URI.
    pub(crate) fn icon_to_store(&self) -> Option<&str> {
        const LARGEST: usize = 64 * 1024;

        let icon = self.workspace_icon.as_deref();
        icon.filter(|icon| icon.len() <= LARGEST)
    }

    /// Returns the owner of the connection: `{"type":"user","user":{…}}`, where the user may be partial, or
    /// `{"type":"workspace","workspace":true}`.
    #[must_use]
    pub fn owner(&self) -> Option<&Value> {
        self.raw.get("owner").filter(|owner| !owner.is_null())
    }

    /// Returns the name of the Notion user who connected, or the e-mail address, if Notion sent one of them.
    pub(crate) fn account(&self) -> Option<&str> {
        let user = self.owner()?.get("user")?;
        let name = user.get("name").and_then(Value::as_str);
        name.filter(|name| !name.trim().is_empty())
            .or_else(|| user.get("person")?.get("email")?.as_str())
    }

    /// Returns the ID of the page that was created from the app's template, if the user chose to.
    #[must_use]
    pub fn duplicated_template_id(&self) -> Option<&str> {
        self.raw.get("duplicated_template_id")?.as_str()
    }

    /// Returns the value of an `Authorization` header, if these credentials can be sent.
    pub(crate) fn to_header_value(&self) -> Result<HeaderValue, InvalidToken> {
        if self.token_type.eq_ignore_ascii_case("bearer") {
            self.access_token.to_header_value()
        } else {
            Err(InvalidToken::TokenType)
        }
    }

    /// Returns a view of these credentials that serializes the tokens in plaintext.
    #[must_use]
    pub fn expose_tokens(&self) -> ExposedCredentials<'_> {
        ExposedCredentials::new(self)
    }
}

impl fmt::Debug for NotionUserCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotionUserCredentials")
            .field("access_token", &self.access_token)
            .field("token_type", &self.token_type)
            .field("refresh_token", &self.refresh_token)
            .field("scope", &self.scope)
            .field("expires_in", &self.expires_in)
            .field("expires_at", &self.expires_at)
            .field("id_token", &self.id_token)
            .field("workspace_id", &self.workspace_id)
            .field("workspace_name", &self.workspace_name)
            .field("workspace_icon", &self.workspace_icon)
            .finish_non_exhaustive()
    }
}
