//! Credential types of the application and of its users.
//!
//! [`NotionAppCredentials`] are the application's: client ID and secret, integration token, and endpoint
//! URLs. [`NotionUserCredentials`] are those of a user who connected a workspace.
//!
//! Tokens and secrets have their own types ([`AccessToken`], [`RefreshToken`], [`IdToken`],
//! [`ClientSecret`]). They print as `[REDACTED]`, are zeroed in memory on drop, and return their text only
//! from `expose`.

mod app;
mod app_builder;
mod check;
mod env;
mod error;
mod expiry;
mod json;
mod origin;
mod reauthorization;
mod secret;
mod user;

pub use self::{
    app::NotionAppCredentials,
    app_builder::NotionAppCredentialsBuilder,
    error::AppCredentialsError,
    expiry::Freshness,
    json::ExposedCredentials,
    reauthorization::ReauthorizationReason,
    secret::{AccessToken, ClientSecret, IdToken, InvalidToken, RefreshToken},
    user::NotionUserCredentials,
};
pub(crate) use self::{
    env::api_url_from_env,
    json::{canonical_token_type, scope_list, seconds, tidy_raw, unix_time},
    origin::is_https_or_loopback,
};
