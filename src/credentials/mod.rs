//! What is kept: the application's own credentials and those of its users.
//!
//! [`NotionAppCredentials`] is what Notion gave to the developer (client id, client secret,
//! integration token, and the URLs to use them at). [`NotionUserCredentials`] is what a user gave
//! to the application by connecting a workspace. Tokens and secrets are types of their own
//! ([`AccessToken`], [`RefreshToken`], [`IdToken`], [`ClientSecret`]) that print as `[REDACTED]`,
//! are wiped from memory when dropped, and show their text by one method, `expose`.

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
