use super::MockNotion;
use crate::{
    credentials::{AppCredentialsError, NotionAppCredentials, NotionUserCredentials},
    error::BoxError,
    provider::{NotionAuthProvider, NotionAuthProviderBuilder},
};

/// Creates a provider that uses one token for every request, whatever its subject. For tests of code that
/// sends requests and does not use OAuth.
///
/// ```
/// use notion_auth::testing;
///
/// let provider = testing::fixed_token("ntn_test", "http://127.0.0.1:8080")?;
/// # Ok::<(), notion_auth::BoxError>(())
/// ```
///
/// # Errors
/// If the token is not a valid header value, or the URL is neither https nor on this machine.
pub fn fixed_token(token: &str, api_url: &str) -> Result<NotionAuthProvider, BoxError> {
    let app = NotionAppCredentials::builder().token(token).build()?;
    Ok(NotionAuthProvider::builder()
        .app(app)
        .api_url(api_url)
        .build()?)
}

impl MockNotion {
    /// Returns the app credentials that this server accepts.
    ///
    /// # Errors
    /// If the server was built with a client ID, client secret or redirect URI that is not valid for an
    /// app.
    pub fn app_credentials(&self) -> Result<NotionAppCredentials, AppCredentialsError> {
        NotionAppCredentials::builder()
            .authorization_url(self.authorization_url())
            .token_url(self.token_url())
            .client_id(self.client_id())
            .client_secret(self.client_secret())
            .redirect_uri(self.redirect_uri())
            .build()
    }

    /// Returns a provider builder that is configured for this server: its app, its API's URL, and, for a
    /// server in process, its service as the transport.
    ///
    /// # Errors
    /// The same as [`app_credentials`](Self::app_credentials).
    pub fn provider_builder(&self) -> Result<NotionAuthProviderBuilder, AppCredentialsError> {
        let builder = NotionAuthProvider::builder()
            .app(self.app_credentials()?)
            .api_url(self.base_url());
        Ok(if self.has_socket() {
            builder
        } else {
            builder.transport(self.service())
        })
    }

    /// Returns the credentials of a new connection, as an exchange would.
    ///
    /// # Panics
    /// Never, because a grant contains a valid token response.
    #[must_use]
    #[expect(clippy::expect_used, reason = "it is what this server answers with")]
    pub fn connect(&self) -> NotionUserCredentials {
        serde_json::from_value(self.grant().answer).expect("a token answer")
    }
}
