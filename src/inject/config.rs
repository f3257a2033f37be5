use std::sync::Arc;

use http::{HeaderValue, Request};

use super::{destination::Destination, headers::inject};
use crate::{provider::Shared, subject::Mode};

/// What a layer was told.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) provider: Arc<Shared>,
    pub(super) destination: Destination,
    pub(super) mode: Mode,
    pub(super) overrides_version: bool,
    pub(super) reports: bool,
    /// Whether nothing is asked of a request that carries a subject and nothing else: the layer does
    /// not report, and the app has more than an integration token.
    pub(super) is_plain: bool,
}

impl Config {
    #[inline]
    pub(super) fn inject<B>(&self, request: &mut Request<B>, authorization: HeaderValue) {
        inject(
            request.headers_mut(),
            authorization,
            self.provider.version(),
            self.overrides_version,
        );
    }
}
