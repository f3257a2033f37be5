//! Slow path: requests that wait for credentials, and replays.

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
    selection::{Credentials, Source},
    service::{Applied, Replay},
};
use crate::{
    cache::Fence,
    error::{AuthError, BoxError},
    observe,
    provider::{EntryHandle, Unauthorized, Waiting},
};

pin_project! {
    /// A request's states: wait → be ready → send → after a 401, wait for newer credentials → be ready → send again.
    ///
    /// Polled by hand, so that neither the inner service nor the body need be `Send`.
    pub(super) struct SlowPath<S, B, R>
    where
        S: Service<Request<B>>,
    {
        applied: Arc<Applied<S>>,
        // `None` for a replay, which is not replayed again.
        policy: Option<R>,
        // The request to send. The service is not ready.
        unsent: Option<(S, Request<B>)>,
        #[pin]
        state: State<S::Future, Replay<S, B>, S::Response>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, K, P> {
        // The handle is of no entry yet.
        Waiting { outcome: Waiting, handle: EntryHandle },
        Readying { credentials: Option<Credentials> },
        Sending { #[pin] call: F, source: Source, replay: Option<K> },
        // Handle and fencing token are those of the refused credentials.
        Renewing { outcome: Waiting, handle: EntryHandle, refused: Fence, refusal: Option<P> },
        Failed { error: Option<AuthError> },
    }
}

impl<S, B, R, ResBody> SlowPath<S, B, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    R: ReplayBody<B>,
{
    pub(super) fn failed(applied: Arc<Applied<S>>, policy: R, error: AuthError) -> Self {
        Self {
            applied,
            policy: Some(policy),
            unsent: None,
            state: State::Failed { error: Some(error) },
        }
    }

    /// `service` is ready.
    pub(super) fn sending(
        applied: Arc<Applied<S>>,
        policy: R,
        service: S,
        request: Request<B>,
        credentials: Credentials,
    ) -> Self {
        let state = send(&applied, Some(policy), service, request, credentials);
        Self {
            applied,
            policy: None,
            unsent: None,
            state,
        }
    }

    /// `service` is not ready: while a request waits for credentials, it holds no permit of the inner service.
    pub(super) fn waiting(
        applied: Arc<Applied<S>>,
        policy: R,
        service: S,
        request: Request<B>,
        outcome: Waiting,
        handle: EntryHandle,
    ) -> Self {
        Self {
            applied,
            policy: Some(policy),
            unsent: Some((service, request)),
            state: State::Waiting { outcome, handle },
        }
    }

    /// After a 401. Returns the response if the request can't be made again.
    pub(super) fn renewing(
        replay: Replay<S, B>,
        handle: EntryHandle,
        unauthorized: Unauthorized,
        refusal: S::Response,
    ) -> Result<Self, S::Response> {
        let Replay {
            copy,
            fence,
            applied,
        } = replay;
        let request = copy.into_request(&applied.config.destination);
        let outcome = request.as_ref().and_then(|request| {
            let subject = request.extensions().get()?;
            let provider = &applied.config.provider;
            Some(provider.renewed(subject, fence, handle, unauthorized))
        });
        let (Some(outcome), Some(request)) = (outcome, request) else {
            handle.refused(unauthorized);
            return Err(refusal);
        };
        Ok(Self {
            unsent: Some((applied.spare(), request)),
            applied,
            policy: None,
            state: State::Renewing {
                outcome,
                handle,
                refused: fence,
                refusal: Some(refusal),
            },
        })
    }
}

/// Sends the request by a service that is ready. With a policy, keeps a copy for a replay.
fn send<S, B, R>(
    applied: &Arc<Applied<S>>,
    policy: Option<R>,
    mut service: S,
    mut request: Request<B>,
    credentials: Credentials,
) -> State<S::Future, Replay<S, B>, S::Response>
where
    S: Service<Request<B>>,
    R: ReplayBody<B>,
{
    let Credentials {
        authorization,
        source,
    } = credentials;
    // Before the headers are set: the copy never holds a token.
    let replay = match &policy {
        Some(policy) => Replay::of(policy, &request, None, source.renewable(), applied),
        None => {
            observe::replayed(request.extensions().get());
            None
        }
    };
    applied
        .config
        .inject_into(request.headers_mut(), authorization);
    State::Sending {
        call: service.call(request),
        source,
        replay,
    }
}

impl<S, B, R, ResBody> Future for SlowPath<S, B, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    S::Error: Into<BoxError>,
    R: ReplayBody<B>,
{
    type Output = Result<Response<ResBody>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let config = &this.applied.config;
            let next = match this.state.as_mut().project() {
                StateProjection::Waiting { outcome, handle } => {
                    let credentials = match ready!(outcome.as_mut().poll(cx)) {
                        Ok(grant) => Credentials::granted(grant, *handle),
                        Err(error) => match this.unsent {
                            Some((_, request)) => {
                                config.not_granted(error, request.extensions())?
                            }
                            None => return Poll::Ready(Err(error.into())),
                        },
                    };
                    State::Readying {
                        credentials: Some(credentials),
                    }
                }
                StateProjection::Readying { credentials } => {
                    if let Some((service, _)) = this.unsent {
                        ready!(service.poll_ready(cx)).map_err(Into::into)?;
                    }
                    let (service, request) = taken(this.unsent);
                    let policy = this.policy.take();
                    send(this.applied, policy, service, request, taken(credentials))
                }
                StateProjection::Sending {
                    call,
                    source,
                    replay,
                } => {
                    let mut response = ready!(call.poll(cx)).map_err(Into::into)?;
                    if config.reports {
                        response.extensions_mut().insert(source.credential());
                    }
                    let unauthorized = Unauthorized::of(response.status(), response.headers());
                    let (Some(unauthorized), Source::Stored { handle, .. }) =
                        (unauthorized, *source)
                    else {
                        return Poll::Ready(Ok(response));
                    };
                    let Some(replay) = replay.take() else {
                        handle.refused(unauthorized);
                        return Poll::Ready(Ok(response));
                    };
                    match Self::renewing(replay, handle, unauthorized, response) {
                        Ok(renewing) => {
                            *this.unsent = renewing.unsent;
                            renewing.state
                        }
                        Err(response) => return Poll::Ready(Ok(response)),
                    }
                }
                StateProjection::Renewing {
                    outcome,
                    handle,
                    refused,
                    refusal,
                } => {
                    let outcome = ready!(outcome.as_mut().poll(cx));
                    let refusal = taken(refusal);
                    match Credentials::renewed(outcome, *refused, *handle)? {
                        Some(credentials) => State::Readying {
                            credentials: Some(credentials),
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
