use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderValue};

use super::{
    destination::Destination,
    headers::{Present, inject},
};
use crate::{
    provider::{EntryHandle, NotionAuthProvider, Shared},
    subject::Mode,
};

/// What a layer was told.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) provider: Arc<Shared>,
    pub(crate) destination: Destination,
    /// What requests remember, unless they carry a mode of their own: nothing yet.
    pub(super) handle: EntryHandle,
    pub(crate) overrides_version: bool,
    pub(super) reports: bool,
    /// Whether nothing is asked of a request that carries a subject and nothing else: the layer does
    /// not report, and the app has more than an integration token.
    pub(super) is_plain: bool,
}

impl Config {
    pub(crate) fn new(provider: &NotionAuthProvider, mode: Mode) -> Self {
        let provider = provider.shared();
        Self {
            destination: Destination::new(provider.api_url()),
            provider: Arc::clone(provider),
            handle: provider.handle(mode),
            overrides_version: false,
            reports: false,
            is_plain: !provider.has_only_integration_token(),
        }
    }

    /// What a request with these extensions remembers: nothing yet.
    pub(super) fn handle(&self, extensions: &Extensions) -> EntryHandle {
        match extensions.get::<Mode>() {
            Some(mode) => self.provider.handle(*mode),
            None => self.handle,
        }
    }

    /// `present` is of the same headers.
    #[inline]
    pub(super) fn inject(
        &self,
        headers: &mut HeaderMap,
        present: Present,
        authorization: HeaderValue,
    ) {
        let is_kept = present.version && !self.overrides_version;
        let version = (!is_kept).then(|| self.provider.version());
        inject(headers, authorization, version);
    }

    pub(crate) fn inject_into(&self, headers: &mut HeaderMap, authorization: HeaderValue) {
        self.inject(headers, Present::among(headers), authorization);
    }
}
