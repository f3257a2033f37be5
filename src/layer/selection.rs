//! Selection of a request's credentials, and the headers that carry them.

use std::sync::Arc;

use http::{
    Extensions, HeaderMap, HeaderValue, Request,
    header::{AUTHORIZATION, HOST},
};

use super::destination::Destination;
use crate::{
    cache::{EntryVersion, Fence, Hit},
    error::AuthError,
    header::NOTION_VERSION,
    provider::{EntryHandle, Lookup, NotionAuthProvider, Shared, Waiting},
    refresh::Grant,
    subject::{CredentialUsed, ExplicitCredentials, Mode, Subject, UseIntegrationToken},
};

/// A layer's settings.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) provider: Arc<Shared>,
    pub(crate) destination: Destination,
    /// A handle of no entry, for requests without a mode of their own.
    pub(super) handle: EntryHandle,
    pub(crate) overrides_version: bool,
    pub(super) reports: bool,
    /// Whether a request with a subject and no other extension needs no decision: the layer does not report, and the app
    /// has more than an integration token.
    pub(super) is_plain: bool,
}

impl Config {
    pub(crate) fn new(provider: &NotionAuthProvider, mode: Mode) -> Self {
        let provider = provider.shared();
        Self {
            destination: Destination::new(&provider.api_url),
            provider: Arc::clone(provider),
            handle: provider.handle(mode),
            overrides_version: false,
            reports: false,
            is_plain: !provider.has_only_integration_token(),
        }
    }

    /// Returns a handle of no entry, in the mode that these extensions ask for.
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
        let version = (!is_kept).then(|| &self.provider.version);
        inject(headers, authorization, version);
    }

    pub(crate) fn inject_into(&self, headers: &mut HeaderMap, authorization: HeaderValue) {
        self.inject(headers, Present::among(headers), authorization);
    }
}

/// What the extensions of a request lead to.
pub(crate) enum Choice {
    /// It can be sent at once.
    Send(Credentials),
    /// The subject's credentials must be waited for; the handle is of none yet.
    Wait(Waiting, EntryHandle),
}

/// What a request is sent with.
pub(crate) struct Credentials {
    pub(crate) authorization: HeaderValue,
    pub(crate) source: Source,
}

/// Where the credentials of a request come from.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    Stored { fence: Fence, handle: EntryHandle },
    Explicit,
    IntegrationToken,
}

impl Config {
    /// Fast path: sets the headers if the request can be sent at once with what is cached. `None` decides nothing: the
    /// slow path then applies every rule.
    ///
    /// `keep` copies the request before the headers are set. Its arguments are the subject of a plain request (see
    /// `RequestCopy`), and the fencing token by which the request can be sent again after a 401, if it can.
    ///
    /// Always inlined: otherwise the layer around two kinds of services costs each of them a call more.
    #[inline(always)]
    pub(super) fn inject_cached<B>(
        &self,
        request: &mut Request<B>,
        keep: impl FnOnce(&Request<B>, Option<&Subject>, Option<Fence>),
    ) -> Option<EntryHandle> {
        if !self.destination.is_usual(request) {
            return None;
        }
        let present = Present::among(request.headers());
        if present.host && !self.destination.is_named_by(request.headers()) {
            return None;
        }
        let extensions = request.extensions();
        match extensions.get::<Subject>() {
            Some(subject) if self.is_plain && extensions.len() == 1 => {
                let hit = self.provider.engine.cache.hit(subject)?;
                let (authorization, handle, fence) = self.ready(subject, &hit, self.handle)?;
                // Under the shard's read lock, because dropping `hit` before costs every request more.
                keep(request, Some(subject), fence);
                self.inject(request.headers_mut(), present, authorization.clone());
                Some(handle)
            }
            _ => self.inject_uncommon(request, present, keep),
        }
    }

    /// The rules of [`choose`](Self::choose), for what can be sent at once.
    fn inject_uncommon<B>(
        &self,
        request: &mut Request<B>,
        present: Present,
        keep: impl FnOnce(&Request<B>, Option<&Subject>, Option<Fence>),
    ) -> Option<EntryHandle> {
        if self.reports {
            return None;
        }
        let extensions = request.extensions();
        let others = match extensions.get::<ExplicitCredentials>() {
            Some(explicit) => Some(explicit.authorization()),
            None if self.provider.has_only_integration_token() => {
                self.provider.integration_token.clone()
            }
            None => None,
        };
        if let Some(authorization) = others {
            keep(request, None, None);
            self.inject(request.headers_mut(), present, authorization);
            return Some(self.handle);
        }
        let subject = extensions.get::<Subject>()?;
        let hit = self.provider.engine.cache.hit(subject)?;
        let handle = self.handle(extensions);
        let (authorization, handle, fence) = self.ready(subject, &hit, handle)?;
        keep(request, None, fence);
        self.inject(request.headers_mut(), present, authorization.clone());
        Some(handle)
    }

    /// Returns what a request is sent with, if the entry needs no decision. `handle` is of no entry yet.
    #[inline]
    fn ready<'a>(
        &self,
        subject: &Subject,
        hit: &'a Hit<'_>,
        handle: EntryHandle,
    ) -> Option<(&'a HeaderValue, EntryHandle, Option<Fence>)> {
        let clock = &self.provider.engine.clock;
        let (authorization, version, fence) = hit.ready(|| clock.coarse_monotonic())?;
        self.provider.hits.count();
        let fence = (handle.mode() == Mode::Refreshing).then_some(fence);
        Some((
            authorization,
            handle.of(subject.seeded_hash(), version),
            fence,
        ))
    }

    /// Explicit credentials before the subject's, the subject's before the integration token.
    pub(crate) fn choose(&self, extensions: &Extensions) -> Result<Choice, AuthError> {
        if let Some(explicit) = extensions.get::<ExplicitCredentials>() {
            return Ok(Choice::Send(Credentials {
                authorization: explicit.authorization(),
                source: Source::Explicit,
            }));
        }
        match extensions.get::<Subject>() {
            Some(subject) if !self.provider.has_only_integration_token() => {
                let handle = self.handle(extensions);
                let mode = handle.mode();
                let handle = handle.of(subject.seeded_hash(), EntryVersion::NONE);
                Ok(match self.provider.look_up(subject, mode) {
                    Lookup::Hit(grant) => Choice::Send(Credentials::granted(grant, handle)),
                    Lookup::Wait => Choice::Wait(self.provider.acquire(subject, mode), handle),
                })
            }
            _ => self
                .integration_token(extensions)
                .unwrap_or_else(|| Err(AuthError::no_subject()))
                .map(Choice::Send),
        }
    }

    /// The integration token, where the request may have it.
    pub(super) fn integration_token(
        &self,
        extensions: &Extensions,
    ) -> Option<Result<Credentials, AuthError>> {
        let asked = extensions.get::<UseIntegrationToken>().is_some();
        if !asked && !self.provider.falls_back_to_integration_token {
            return None;
        }
        Some(match &self.provider.integration_token {
            Some(token) => Ok(Credentials {
                authorization: token.clone(),
                source: Source::IntegrationToken,
            }),
            None => Err(AuthError::configuration(
                "the integration token was asked for, and the app credentials have none \
                 (NOTION_TOKEN)",
            )),
        })
    }

    /// What is used instead of what was waited for in vain.
    pub(crate) fn not_granted(
        &self,
        error: AuthError,
        extensions: &Extensions,
    ) -> Result<Credentials, AuthError> {
        if error.is_not_connected() {
            self.integration_token(extensions).unwrap_or(Err(error))
        } else {
            Err(error)
        }
    }
}

impl Credentials {
    /// What the provider has for the handle's subject.
    pub(crate) fn granted(grant: Grant, handle: EntryHandle) -> Self {
        Self {
            source: Source::Stored {
                fence: grant.fence,
                handle: handle.with_version(grant.version),
            },
            authorization: grant.authorization,
        }
    }

    /// What came of waiting for better ones than the handle's, of this generation, which were refused.
    /// `None` if there is nothing better to send: the 401 goes back.
    pub(crate) fn renewed(
        outcome: Result<Grant, AuthError>,
        refused: Fence,
        handle: EntryHandle,
    ) -> Result<Option<Self>, AuthError> {
        match outcome {
            Ok(grant) if grant.fence != refused => Ok(Some(Self::granted(grant, handle))),
            Ok(_) => Ok(None),
            Err(error) if error.is_end_of_access_token() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Source {
    /// Returns the fencing token of credentials that are to be renewed after a 401.
    pub(crate) fn renewable(self) -> Option<Fence> {
        match self {
            Self::Stored { fence, handle } if handle.mode() == Mode::Refreshing => Some(fence),
            _ => None,
        }
    }

    pub(super) fn credential(self) -> CredentialUsed {
        match self {
            Self::Stored { fence, .. } => CredentialUsed::Stored {
                generation: fence.generation(),
            },
            Self::Explicit => CredentialUsed::Explicit,
            Self::IntegrationToken => CredentialUsed::IntegrationToken,
        }
    }
}

/// Which of the headers that matter beside `Authorization` a request has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present {
    pub(super) host: bool,
    pub(super) version: bool,
}

impl Present {
    /// One scan for both: comparing a few names takes less than hashing one. A client's requests have no
    /// `Host` yet, so the scan that finds one may take longer.
    #[inline]
    pub(super) fn among(headers: &HeaderMap) -> Self {
        if headers.len() > 16 {
            return Self::hashed(headers);
        }
        let mut version = false;
        for name in headers.keys() {
            if *name == HOST {
                return Self::hashed(headers);
            }
            if *name == NOTION_VERSION {
                version = true;
            }
        }
        Self {
            host: false,
            version,
        }
    }

    #[cold]
    fn hashed(headers: &HeaderMap) -> Self {
        Self {
            host: headers.contains_key(HOST),
            version: headers.contains_key(NOTION_VERSION),
        }
    }
}

/// Sets `Authorization`, and `Notion-Version` if there is one to set. Values that the caller sent are
/// replaced.
#[inline(never)]
pub(super) fn inject(
    headers: &mut HeaderMap,
    authorization: HeaderValue,
    version: Option<&HeaderValue>,
) {
    headers.insert(&AUTHORIZATION, authorization);
    if let Some(version) = version {
        headers.insert(NOTION_VERSION, version.clone());
    }
}
