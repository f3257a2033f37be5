//! What a request was sent with, for as long as its answer is awaited.

use std::sync::Arc;

use http::Extensions;

use super::{
    config::Config,
    driven::Waiting,
    identity::{Credentials, Source},
};
use crate::{
    provider::{Grant, Shared},
    subject::{CredentialUsed, Mode, Subject},
};

#[derive(Clone)]
pub(super) struct Sent {
    subject: Option<Subject>,
    source: Source,
    mode: Mode,
}

impl Sent {
    pub(super) fn new(source: Source, extensions: &Extensions, config: &Config) -> Self {
        Self {
            subject: extensions.get().cloned(),
            source,
            mode: extensions.get().copied().unwrap_or(config.mode),
        }
    }

    pub(super) fn credential(&self) -> CredentialUsed {
        self.source.credential()
    }

    pub(super) fn is_of(&self, other: u64) -> bool {
        matches!(self.source, Source::Stored { generation, .. } if generation == other)
    }

    /// Whether a 401 can be cured by newer credentials.
    pub(super) fn is_renewable(&self) -> bool {
        matches!(self.source, Source::Stored { .. }) && self.mode == Mode::Refreshing
    }

    /// A 401 came, and the request cannot be sent again.
    pub(super) fn refused(&self, provider: &Arc<Shared>) {
        if let (Some(subject), Source::Stored { generation, ticket }) = (&self.subject, self.source)
        {
            provider.refused(subject, generation, ticket, self.mode);
        }
    }

    /// A 401 came, and the request is sent again with what this answers.
    pub(super) fn renewal(&self, provider: &Arc<Shared>) -> Option<Waiting> {
        let (Some(subject), Source::Stored { generation, ticket }) =
            (self.subject.clone(), self.source)
        else {
            return None;
        };
        let provider = Arc::clone(provider);
        Some(Box::pin(async move {
            provider.renewed(&subject, generation, ticket).await
        }))
    }

    /// What the request is sent with next.
    pub(super) fn renewed(&self, grant: Grant, config: &Config) -> Option<Credentials> {
        let subject = self.subject.as_ref()?;
        Some(config.granted(grant, subject, self.mode))
    }
}
