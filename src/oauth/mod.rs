//! How credentials are got: Notion's OAuth, without the routes.
//!
//! [`OAuthFlow`] makes the URL that sends a user's browser to Notion, exchanges what comes back, and
//! makes the other calls of the OAuth endpoints. It keeps nothing: what must outlive the user's trip
//! to Notion is a value, [`PendingFlow`], that the application keeps in that user's session.
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
//! Calls go through a transport, any Tower service (see [`NotSent`]). They follow no redirect and
//! retry nothing, because codes and refresh tokens can be used once. A token answer may hold the
//! only copy of a token pair, so it is read patiently: gzip is decoded although it was not asked
//! for, up to 4 MiB are read, and both tokens are also taken from an answer that was cut off or is
//! not quite JSON.

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
