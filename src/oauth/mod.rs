//! Notion's OAuth 2.0 client: authorization URLs, code exchange, refresh, revocation and introspection.
//!
//! [`OAuthFlow`] creates the authorization URL, exchanges the code of the callback, and calls the other
//! OAuth endpoints. It stores nothing. Between the redirect to Notion and the callback, the application
//! keeps a [`PendingFlow`] in the user's session. The `routes` feature does all of this over HTTP.
//!
//! ```
//! use notion_auth::{Subject, oauth::CallbackAnswer, testing::MockNotion};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let notion = MockNotion::start().await?;
//! let provider = notion.provider_builder()?.build()?;
//! let subject = Subject::new("ann");
//!
//! // When the user asks to connect: keep `pending` in the session, redirect the browser to `url`.
//! let authorization = provider.oauth().authorize(&subject)?;
//!
//! // When the browser is back at the redirect URI:
//! let callback_url = notion.consent(authorization.url.as_str())?;
//! let answer = CallbackAnswer::from_url(&callback_url)?;
//! let credentials = provider
//!     .oauth()
//!     .exchange(authorization.pending, &subject, answer)
//!     .await?;
//! provider.store_credentials(&subject, credentials).await?;
//! # Ok(()) }
//! ```
//!
//! Calls go through a transport, which can be any Tower service (see [`NotSent`]). They follow no redirects
//! and are not retried, because codes and refresh tokens can be used once.
//!
//! A token response may hold the only copy of a token pair, so the parser is tolerant. It decodes gzip that
//! was not requested, reads up to 4 MiB, and extracts both tokens even from a truncated or malformed
//! response.

mod body;
mod callback;
mod error;
mod flow;
#[cfg(feature = "https")]
mod https;
mod members;
mod pending;
mod redact;
mod request;
mod response;
mod token_answer;
mod transport;

#[cfg(feature = "https")]
pub(crate) use self::https::HttpsTransport;
#[cfg(feature = "routes")]
pub(crate) use self::pending::Mismatch;
pub use self::{
    callback::CallbackAnswer,
    error::{OAuthError, Refusal},
    flow::{AuthorizationRequest, Introspection, OAuthFlow},
    pending::PendingFlow,
    transport::NotSent,
};
pub(crate) use self::{
    flow::Endpoints,
    token_answer::TokenAnswer,
    transport::{SendGate, Transport},
};
