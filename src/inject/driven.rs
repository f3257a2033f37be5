//! The way of a request that waits for credentials, or that may be sent again.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    config::Config,
    identity::Credentials,
    replay::{NoReplay, ReplayBody},
    sent::Sent,
};
use crate::{
    error::{AuthError, BoxError},
    provider::Grant,
    subject::{Mode, Subject},
};

type Waiting = Pin<Box<dyn Future<Output = Result<Grant, AuthError>> + Send>>;

/// A request, and the service that it can be sent with.
type Unsent<S, B> = Option<(S, Request<B>)>;

pin_project! {
    /// One request: wait → send → on a 401, wait for newer credentials → be ready → send again.
    pub(super) struct Driven<S, B, R>
    where
        S: Service<Request<B>>,
    {
        config: Arc<Config>,
        replay: R,
        #[pin]
        state: State<S, Request<B>, S::Future, S::Response>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, Q, F, P> {
        Waiting { grant: Waiting, mode: Mode, subject: Subject, unsent: Option<(S, Q)> },
        Sending { #[pin] call: F, sent: Sent, copy: Option<(S, Q)> },
        Renewing { grant: Waiting, sent: Sent, refusal: Option<P>, copy: Option<(S, Q)> },
        Readying { credentials: Option<Credentials>, copy: Option<(S, Q)> },
        Failed { error: Option<AuthError> },
    }
}

impl<S, B, R, ResBody> Driven<S, B, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    R: ReplayBody<B>,
{
    pub(super) fn failed(config: Arc<Config>, replay: R, error: AuthError) -> Self {
        Self {
            config,
            replay,
            state: State::Failed { error: Some(error) },
        }
    }

    /// `service` is ready.
    pub(super) fn sending(
        config: Arc<Config>,
        replay: R,
        service: S,
        request: Request<B>,
        credentials: Credentials,
    ) -> Self {
        let state = send(&config, &replay, (service, request), credentials);
        Self {
            config,
            replay,
            state,
        }
    }

    /// `service` is ready.
    pub(super) fn waiting(
        config: Arc<Config>,
        replay: R,
        service: S,
        request: Request<B>,
        subject: Subject,
        mode: Mode,
    ) -> Self {
        let provider = Arc::clone(&config.provider);
        let whose = subject.clone();
        let state = State::Waiting {
            grant: Box::pin(async move { provider.acquire(&whose, mode).await }),
            mode,
            subject,
            unsent: Some((service, request)),
        };
        Self {
            config,
            replay,
            state,
        }
    }
}

/// Sends the request by a service that is ready, and keeps a copy of it if it may be sent again.
fn send<S, B, R>(
    config: &Config,
    replay: &R,
    (mut service, mut request): (S, Request<B>),
    credentials: Credentials,
) -> State<S, Request<B>, S::Future, S::Response>
where
    S: Service<Request<B>> + Clone,
    R: ReplayBody<B>,
{
    let sent = Sent::new(credentials.source, request.extensions(), config);
    config.inject(&mut request, credentials.authorization);
    let (head, body) = request.into_parts();
    let copy: Unsent<S, B> = if R::NEVER || !sent.is_renewable() {
        None
    } else {
        replay
            .copy(&body)
            .map(|body| (service.clone(), Request::from_parts(head.clone(), body)))
    };
    let call = service.call(Request::from_parts(head, body));
    State::Sending { call, sent, copy }
}

impl<S, B, R, ResBody> Future for Driven<S, B, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    S::Error: Into<BoxError>,
    R: ReplayBody<B>,
{
    type Output = Result<Response<ResBody>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Waiting {
                    grant,
                    mode,
                    subject,
                    unsent,
                } => {
                    let granted = ready!(grant.as_mut().poll(cx));
                    let (service, request) = taken(unsent);
                    let credentials = match granted {
                        Ok(grant) => this.config.granted(grant, subject, *mode),
                        Err(error) => this.config.not_granted(error, request.extensions())?,
                    };
                    send(this.config, this.replay, (service, request), credentials)
                }
                StateProjection::Sending { call, sent, copy } => {
                    let mut response = ready!(call.poll(cx)).map_err(Into::into)?;
                    if this.config.reports {
                        response.extensions_mut().insert(sent.credential());
                    }
                    if response.status() != StatusCode::UNAUTHORIZED {
                        return Poll::Ready(Ok(response));
                    }
                    let Some((subject, purpose)) = sent.refused(&this.config.provider) else {
                        return Poll::Ready(Ok(response));
                    };
                    let provider = Arc::clone(&this.config.provider);
                    if copy.is_none() {
                        provider.start(&subject, purpose);
                        return Poll::Ready(Ok(response));
                    }
                    State::Renewing {
                        grant: Box::pin(async move { provider.wait(&subject, purpose).await }),
                        sent: sent.clone(),
                        refusal: Some(response),
                        copy: copy.take(),
                    }
                }
                StateProjection::Renewing {
                    grant,
                    sent,
                    refusal,
                    copy,
                } => {
                    let grant = ready!(grant.as_mut().poll(cx))?;
                    let refusal = taken(refusal);
                    if sent.is_of(grant.generation) {
                        return Poll::Ready(Ok(refusal));
                    }
                    State::Readying {
                        credentials: sent.renewed(grant, this.config),
                        copy: copy.take(),
                    }
                }
                StateProjection::Readying { credentials, copy } => {
                    if let Some((service, _)) = copy {
                        ready!(service.poll_ready(cx)).map_err(Into::into)?;
                    }
                    let (service, request) = taken(copy);
                    let credentials = taken(credentials);
                    // Once: what is refused again goes back to the caller.
                    send(this.config, &NoReplay, (service, request), credentials)
                }
                StateProjection::Failed { error } => {
                    return Poll::Ready(Err(taken(error).into()));
                }
            };
            this.state.set(next);
        }
    }
}

#[expect(clippy::panic, reason = "as every future does")]
fn taken<T>(slot: &mut Option<T>) -> T {
    match slot.take() {
        Some(value) => value,
        None => panic!("`ResponseFuture` polled after it was ready"),
    }
}
