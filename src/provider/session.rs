use super::NotionAuthProvider;
use crate::subject::{ExplicitCredentials, Subject};

/// Credentials for all requests of a client: those of one subject, or explicit ones.
///
/// Made by [`NotionAuthProvider::session`] and [`NotionAuthProvider::with_credentials`]. See [`wrap`](Self::wrap).
#[derive(Debug, Clone)]
pub struct Session {
    pub(crate) provider: NotionAuthProvider,
    pub(crate) identity: Identity,
}

/// What a session puts into the extensions of its requests.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    Subject(Subject),
    Credentials(ExplicitCredentials),
}

impl Session {
    pub(super) fn of_subject(provider: NotionAuthProvider, subject: Subject) -> Self {
        Self {
            provider,
            identity: Identity::Subject(subject),
        }
    }

    pub(super) fn of_credentials(
        provider: NotionAuthProvider,
        credentials: ExplicitCredentials,
    ) -> Self {
        Self {
            provider,
            identity: Identity::Credentials(credentials),
        }
    }
}
