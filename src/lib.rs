//! Tower middleware that puts the right Notion credentials on every request, and never loses a
//! rotating token.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod clock;
pub mod credentials;
pub mod error;
pub mod header;
#[cfg(feature = "https")]
mod https;
pub mod inject;
pub mod oauth;
pub mod provider;
mod random;
pub mod store;
mod subject;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "https")]
pub use crate::https::{HttpsClient, https_client};
pub use crate::{
    credentials::{
        AccessToken, AppCredentialsError, InvalidToken, NotionAppCredentials,
        NotionUserCredentials, ReauthorizationReason,
    },
    error::{AuthError, BoxError},
    inject::{CloneBody, EmptyBody, NotionAuth, NotionAuthLayer},
    provider::{Event, NotionAuthProvider, Session},
    store::MemoryStore,
    subject::{CredentialUsed, ExplicitCredentials, Mode, Subject, UseIntegrationToken},
};
