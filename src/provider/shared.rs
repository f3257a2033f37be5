use std::{fmt, sync::Arc};

use http::HeaderValue;
use url::Url;

use super::{registry::ProviderId, start::LastPurge};
#[cfg(feature = "https")]
use crate::https::Connector;
#[cfg(feature = "routes")]
use crate::keyring::Keyring;
use crate::{observe::Hits, refresh::Engine};

/// What all handles of a provider and its layers share.
pub(crate) struct Shared {
    pub(super) id: ProviderId,
    pub(crate) engine: Arc<Engine>,
    /// The origin that requests with a token may go to.
    pub(crate) api_url: Url,
    pub(crate) version: HeaderValue,
    pub(crate) integration_token: Option<HeaderValue>,
    pub(super) has_oauth_client: bool,
    /// Whether a request without credentials gets the integration token without asking for it.
    pub(crate) falls_back_to_integration_token: bool,
    /// Connector of the OAuth calls, unless the application set a transport.
    #[cfg(feature = "https")]
    pub(super) built_in: Option<Connector>,
    pub(super) last_purge: LastPurge,
    /// Keys of the application, from which those of the routes' cookies are derived.
    #[cfg(feature = "routes")]
    pub(crate) keys: Option<Keyring>,
    /// Counts cache hits.
    pub(crate) hits: Hits,
}

impl Shared {
    /// An app without an OAuth client has no user's credentials.
    #[inline]
    pub(crate) fn has_only_integration_token(&self) -> bool {
        !self.has_oauth_client && self.integration_token.is_some()
    }
}

/// Tasks that only wait end. A task that has a new pair commits it first.
impl Drop for Shared {
    fn drop(&mut self) {
        self.id.unregister();
        self.engine.brake.shut_down();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("engine", &self.engine)
            .field("api_url", &self.api_url.as_str())
            .finish_non_exhaustive()
    }
}
