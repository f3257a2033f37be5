//! The way of a request that waits for credentials, or that may be sent again.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    replay::ReplayBody,
    selection::Config,
    selection::{Credentials, Source},
};
use crate::{
    cache::Fence,
    error::{AuthError, BoxError},
    observe,
    provider::{EntryHandle, Unauthorized, Waiting},
};

pin_project! {
    /// One request: wait → be ready → send → on a 401, wait for newer credentials → be ready → send
    /// again.
    pub(super) struct Driven<S, B, R>
    where
        S: Service<Request<B>>,
    {
        config: Arc<Config>,
        replay: R,
        // What is to be sent, or sent again if need be, and the service for that.
        unsent: Option<(S, Request<B>)>,
        #[pin]
        state: State<S::Future, S::Response>,
    }
}

pin_project! {
    // The handles that wait are of no credentials yet, or of those that were refused.
    #[project = StateProjection]
    enum State<F, P> {
        Waiting { grant: Waiting, handle: EntryHandle },
        Readying { credentials: Option<Credentials>, is_replay: bool },
        Sending { #[pin] call: F, source: Source },
        Renewing { grant: Waiting, handle: EntryHandle, refused: Fence, refusal: Option<P> },
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
            unsent: None,
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
        let mut unsent = None;
        let state = send(
            &config,
            &replay,
            (service, request),
            credentials,
            &mut unsent,
        );
        Self {
            config,
            replay,
            unsent,
            state,
        }
    }

    /// `service` is not ready: while it waits for credentials, a request takes no place that another
    /// one could be sent in.
    pub(super) fn waiting(
        config: Arc<Config>,
        replay: R,
        service: S,
        request: Request<B>,
        grant: Waiting,
        handle: EntryHandle,
    ) -> Self {
        Self {
            config,
            replay,
            unsent: Some((service, request)),
            state: State::Waiting { grant, handle },
        }
    }
}

/// Sends the request by a service that is ready, and leaves a copy of it if it may be sent again.
fn send<S, B, R>(
    config: &Config,
    replay: &R,
    (mut service, mut request): (S, Request<B>),
    credentials: Credentials,
    copy: &mut Option<(S, Request<B>)>,
) -> State<S::Future, S::Response>
where
    S: Service<Request<B>> + Clone,
    R: ReplayBody<B>,
{
    let Credentials {
        authorization,
        source,
    } = credentials;
    // Before the headers are set: the copy never holds a token.
    if !R::NEVER && source.is_renewable() {
        let (head, body) = request.into_parts();
        *copy = replay
            .copy(&body)
            .map(|body| (service.clone(), Request::from_parts(head.clone(), body)));
        request = Request::from_parts(head, body);
    }
    config.inject_into(request.headers_mut(), authorization);
    let call = service.call(request);
    State::Sending { call, source }
}

/// Sends the copy of a request, once: what is refused again goes back to the caller.
fn send_again<S, B>(
    config: &Config,
    (mut service, mut request): (S, Request<B>),
    credentials: Credentials,
) -> State<S::Future, S::Response>
where
    S: Service<Request<B>>,
{
    observe::replayed(request.extensions().get());
    config.inject_into(request.headers_mut(), credentials.authorization);
    State::Sending {
        call: service.call(request),
        source: credentials.source,
    }
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
                StateProjection::Waiting { grant, handle } => {
                    let credentials = match ready!(grant.as_mut().poll(cx)) {
                        Ok(grant) => Credentials::granted(grant, *handle),
                        Err(error) => match this.unsent {
                            Some((_, request)) => {
                                this.config.not_granted(error, request.extensions())?
                            }
                            None => return Poll::Ready(Err(error.into())),
                        },
                    };
                    State::Readying {
                        credentials: Some(credentials),
                        is_replay: false,
                    }
                }
                StateProjection::Readying {
                    credentials,
                    is_replay,
                } => {
                    if let Some((service, _)) = this.unsent {
                        ready!(service.poll_ready(cx)).map_err(Into::into)?;
                    }
                    let (unsent, credentials) = (taken(this.unsent), taken(credentials));
                    if *is_replay {
                        send_again(this.config, unsent, credentials)
                    } else {
                        send(this.config, this.replay, unsent, credentials, this.unsent)
                    }
                }
                StateProjection::Sending { call, source } => {
                    let mut response = ready!(call.poll(cx)).map_err(Into::into)?;
                    if this.config.reports {
                        response.extensions_mut().insert(source.credential());
                    }
                    let unauthorized = Unauthorized::of(response.status(), response.headers());
                    let (Some(unauthorized), Source::Stored { fence, handle }) =
                        (unauthorized, *source)
                    else {
                        return Poll::Ready(Ok(response));
                    };
                    let copied_for = this.unsent.as_ref();
                    let subject = copied_for.and_then(|(_, copy)| copy.extensions().get());
                    let Some(subject) = subject else {
                        handle.refused(unauthorized);
                        return Poll::Ready(Ok(response));
                    };
                    State::Renewing {
                        grant: this
                            .config
                            .provider
                            .renewed(subject, fence, handle, unauthorized),
                        handle,
                        refused: fence,
                        refusal: Some(response),
                    }
                }
                StateProjection::Renewing {
                    grant,
                    handle,
                    refused,
                    refusal,
                } => {
                    let outcome = ready!(grant.as_mut().poll(cx));
                    let refusal = taken(refusal);
                    match Credentials::renewed(outcome, *refused, *handle)? {
                        Some(credentials) => State::Readying {
                            credentials: Some(credentials),
                            is_replay: true,
                        },
                        None => return Poll::Ready(Ok(refusal)),
                    }
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
