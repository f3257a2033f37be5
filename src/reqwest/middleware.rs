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

/// Middleware of `reqwest-middleware` that puts Notion credentials on each request.
///
/// It does what [`NotionAuthLayer`](crate::NotionAuthLayer) with a replay does, by the same rules. A
/// request says whose it is by `with_extension`: [`Subject`],
/// [`ExplicitCredentials`](crate::ExplicitCredentials),
/// [`UseIntegrationToken`](crate::UseIntegrationToken), [`Mode`]. `Authorization` is replaced,
/// `Notion-Version` is kept if the request has one. A 401 is followed by a refresh and, if
/// [`Request::try_clone`] can copy the request, by one more try with the new token; a request whose body
/// is a stream gets the 401, and the next one has the new token.
///
/// `Host` is set to Notion's API, so that none among the client's default headers takes its place; a
/// request whose own `Host` names another site is an error.
///
/// Attach it last, so that retries outside it get the token of their time, and nothing inside it
/// changes where the request goes. The client's own redirects are to be off, see the
/// [module](crate::reqwest).
///
/// # Errors
/// An [`AuthError`] is the source of [`Error::Middleware`]: [`AuthError::find`] gets it out.
///
/// # Cancel safety
/// A request that is dropped takes nothing with it: a refresh that it caused goes on.
#[derive(Debug, Clone)]
pub struct NotionAuthMiddleware {
    config: Arc<Config>,
    identity: Option<Identity>,
}

impl NotionAuthMiddleware {
    /// Credentials that have expired are refreshed before the request is sent, and those that the API
    /// refuses before it is sent once more.
    #[must_use]
    pub fn refreshing(provider: NotionAuthProvider) -> Self {
        Self::new(&provider, Mode::Refreshing)
    }

    /// Requests whose credentials have expired or were refused fail at once: the store may be read,
    /// the token endpoint is never called.
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

    /// Makes every request of the client this subject's, whatever identity its extensions have.
    #[must_use]
    pub fn for_subject(mut self, subject: impl Into<Subject>) -> Self {
        self.identity = Some(Identity::Subject(subject.into()));
        self
    }

    /// Replaces a `Notion-Version` that the request has. Otherwise it is kept.
    ///
    /// One among the client's default headers is never sent, since reqwest adds those later, and only
    /// where they are missing.
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
        // Before the headers are set, so that the copy never holds a token, and before other middleware
        // has the extensions.
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

/// With a context around it. Alone, who goes through the sources would miss it: `Error` is transparent,
/// so that its source is its content's source.
fn no_credentials(error: AuthError) -> Error {
    Error::Middleware(anyhow::Error::new(error).context("the request has no Notion credentials"))
}
