use std::sync::Arc;

use http::{Extensions, HeaderValue, Request};

use super::{destination::Destination, headers::inject};
use crate::{
    provider::{Shared, Ticket},
    subject::Mode,
};

/// What a layer was told.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) provider: Arc<Shared>,
    pub(super) destination: Destination,
    /// What requests remember, unless they carry a mode of their own: nothing yet.
    pub(super) ticket: Ticket,
    pub(super) overrides_version: bool,
    pub(super) reports: bool,
    /// Whether nothing is asked of a request that carries a subject and nothing else: the layer does
    /// not report, and the app has more than an integration token.
    pub(super) is_plain: bool,
}

impl Config {
    /// What a request with these extensions remembers: nothing yet.
    pub(super) fn ticket(&self, extensions: &Extensions) -> Ticket {
        match extensions.get::<Mode>() {
            Some(mode) => self.provider.ticket(*mode),
            None => self.ticket,
        }
    }

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
