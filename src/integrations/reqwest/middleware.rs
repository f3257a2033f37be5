use std::sync::Arc;

use ::reqwest::{Request, Response};
use async_trait::async_trait;
use http::{Extensions, header::HOST};
use reqwest_middleware::{Error, Middleware, Next};

use crate::{
    error::AuthError,
    layer::{Choice, Config, Credentials, Source},
    provider::{Identity, NotionAuthProvider, Unauthorized},
    subject::{Mode, Subject},
};

/// Middleware for `reqwest-middleware` that adds Notion credentials to each request.
///
/// It follows the same rules as [`NotionAuthLayer`](crate::NotionAuthLayer) with replay. Credentials are
/// chosen from the request's extensions, which are set by `with_extension`: [`Subject`],
/// [`ExplicitCredentials`](crate::ExplicitCredentials),
/// [`UseIntegrationToken`](crate::UseIntegrationToken), [`Mode`]. `Authorization` is replaced.
/// `Notion-Version` is kept if the request has one.
///
/// A 401 causes a refresh. If [`Request::try_clone`] can copy the request, it is sent once more with the
/// new token. A request with a streaming body returns the 401, and the next request has the new token.
///
/// `Host` is set to that of Notion's API, so that a `Host` among the client's default headers is not sent.
/// A request whose own `Host` names another site is an error.
///
/// Attach this middleware last. Retry middleware outside of it then gets the current token for each
/// attempt, and no inner middleware can change the request's destination. Disable the client's redirects,
/// see the [module](crate::integrations::reqwest).
///
/// # Errors
/// The source of [`Error::Middleware`] contains an [`AuthError`], which [`AuthError::find`] returns.
///
/// # Cancel safety
/// A refresh that a request started continues if the request is dropped.
#[derive(Debug, Clone)]
pub struct NotionAuthMiddleware {
    config: Arc<Config>,
    identity: Option<Identity>,
}

impl NotionAuthMiddleware {
    /// Builds a refreshing middleware from the environment; see [`NotionAuthProvider::from_env`].
    ///
    /// # Errors
    /// Those of [`NotionAuthProvider::from_env`].
    pub fn from_env() -> Result<Self, AuthError> {
        NotionAuthProvider::from_env().map(Self::refreshing)
    }

    /// Creates middleware that refreshes expired credentials before the request, and refused ones before
    /// the request is sent once more.
    #[must_use]
    pub fn refreshing(provider: NotionAuthProvider) -> Self {
        Self::new(&provider, Mode::Refreshing)
    }

    /// Creates middleware that never refreshes. Requests with expired or refused credentials fail
    /// immediately. The store may be read, but the token endpoint is never called.
    #[must_use]
    pub fn fail_fast(provider: NotionAuthProvider) -> Self {
        Self::new(&provider, Mode::FailFast)
    }

    fn new(provider: &NotionAuthProvider, mode: Mode) -> Self {
        Self {
            config: Arc::new(Config::new(provider, mode)),
            identity: None,
        }
    }

    /// Uses this subject for every request, whatever identity is in the request's extensions.
    #[must_use]
    pub fn for_subject(mut self, subject: impl Into<Subject>) -> Self {
        self.identity = Some(Identity::Subject(subject.into()));
        self
    }

    /// Replaces a `Notion-Version` that the request has. By default it is kept.
    ///
    /// A `Notion-Version` among the client's default headers is never sent, because reqwest adds default
    /// headers later, and only those that are missing.
    #[must_use]
    pub fn overriding_version(mut self) -> Self {
        Arc::make_mut(&mut self.config).overrides_version = true;
        self
    }

    async fn credentials(&self, extensions: &Extensions) -> Result<Credentials, AuthError> {
        match self.config.choose(extensions)? {
            Choice::Send(credentials) => Ok(credentials),
            Choice::Wait(grant, handle) => match grant.await {
                Ok(grant) => Ok(Credentials::granted(grant, handle)),
                Err(error) => self.config.not_granted(error, extensions),
            },
        }
    }
}

#[async_trait]
impl Middleware for NotionAuthMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, Error> {
        let config = &self.config;
        let host = config
            .destination
            .check_url(request.method(), request.url(), request.headers())
            .map_err(no_credentials)?;
        request.headers_mut().insert(HOST, host);
        if let Some(identity) = &self.identity {
            identity.put_into(extensions);
        }
        let Credentials {
            authorization,
            mut source,
        } = self.credentials(extensions).await.map_err(no_credentials)?;
        // The copy is made before the headers are set, so that it never holds a token, and before other
        // middleware sees the extensions.
        let mut again = None;
        if source.renewable().is_some() {
            let subject = extensions.get::<Subject>().cloned();
            again = request.try_clone().zip(subject);
        }
        config.inject_into(request.headers_mut(), authorization);
        loop {
            let response = next.clone().run(request, extensions).await?;
            let unauthorized = Unauthorized::of(response.status(), response.headers());
            let (Some(unauthorized), Source::Stored { fence, handle }) = (unauthorized, source)
            else {
                return Ok(response);
            };
            let Some((copy, subject)) = again.take() else {
                handle.refused(unauthorized);
                return Ok(response);
            };
            let provider = &config.provider;
            let outcome = provider.renewed(&subject, fence, handle, unauthorized);
            let renewed = Credentials::renewed(outcome.await, fence, handle);
            let Some(credentials) = renewed.map_err(no_credentials)? else {
                return Ok(response);
            };
            request = copy;
            config.inject_into(request.headers_mut(), credentials.authorization);
            source = credentials.source;
        }
    }
}

/// Adds a context around the error. `Error` is transparent: its source is the source of its content, so
/// that callers that walk the sources would miss a bare `AuthError`.
fn no_credentials(error: AuthError) -> Error {
    Error::Middleware(anyhow::Error::new(error).context("the request has no Notion credentials"))
}
