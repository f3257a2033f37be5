use super::MockNotion;
use crate::{
    credentials::{AppCredentialsError, NotionAppCredentials, NotionUserCredentials},
    error::BoxError,
    provider::{NotionAuthProvider, NotionAuthProviderBuilder},
};

/// A provider that has one token for every request, whosever it is: for tests of code that sends
/// requests, with no OAuth in them.
///
/// ```
/// use notion_auth::testing;
///
/// let provider = testing::fixed_token("ntn_test", "http://127.0.0.1:8080")?;
/// # Ok::<(), notion_auth::BoxError>(())
/// ```
///
/// # Errors
/// When a header cannot carry the token, or the URL is neither https nor on this machine.
pub fn fixed_token(token: &str, api_url: &str) -> Result<NotionAuthProvider, BoxError> {
    let app = NotionAppCredentials::builder().token(token).build()?;
    Ok(NotionAuthProvider::builder()
        .app(app)
        .api_url(api_url)
        .build()?)
}

impl MockNotion {
    /// The credentials of the app that this server knows.
    ///
    /// # Errors
    /// When the server was built with a client id, client secret or redirect URI that no app can
    /// have.
    pub fn app_credentials(&self) -> Result<NotionAppCredentials, AppCredentialsError> {
        NotionAppCredentials::builder()
            .authorization_url(self.authorization_url())
            .token_url(self.token_url())
            .client_id(self.client_id())
            .client_secret(self.client_secret())
            .redirect_uri(self.redirect_uri())
            .build()
    }

    /// A provider's builder that knows this server: its app, its API, and, if it is in process, its
    /// service as the transport.
    ///
    /// # Errors
    /// As [`app_credentials`](Self::app_credentials).
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

    /// A new connection, as if a user had allowed it: what an exchange would have given.
    ///
    /// # Panics
    /// Never: a grant's answer is a token answer.
    #[must_use]
    #[expect(clippy::expect_used, reason = "it is what this server answers with")]
    pub fn connect(&self) -> NotionUserCredentials {
        serde_json::from_value(self.grant().answer).expect("a token answer")
    }
}
