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
    config::Config, headers::replace, identity::Credentials, replay::ReplayBody, sent::Sent,
};
use crate::{
    error::{AuthError, BoxError},
    provider::Grant,
    subject::{Mode, Subject},
};

pub(super) type Waiting = Pin<Box<dyn Future<Output = Result<Grant, AuthError>> + Send>>;

/// A request, and the service that it can be sent with.
type Unsent<S, B> = Option<(S, Request<B>)>;

pin_project! {
    /// One request: wait → be ready → send → on a 401, wait for newer credentials → be ready → send
    /// again.
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
        Readying { credentials: Option<Credentials>, is_replay: bool, unsent: Option<(S, Q)> },
        Sending { #[pin] call: F, sent: Sent, copy: Option<(S, Q)> },
        Renewing { grant: Waiting, sent: Sent, refusal: Option<P>, copy: Option<(S, Q)> },
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

    /// `service` is not ready: while it waits for credentials, a request takes no place that another
    /// one could be sent in.
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

/// Sends the copy of a request, once: what is refused again goes back to the caller.
fn send_again<S, B>(
    config: &Config,
    (mut service, mut request): (S, Request<B>),
    credentials: Credentials,
) -> State<S, Request<B>, S::Future, S::Response>
where
    S: Service<Request<B>>,
{
    let sent = Sent::new(credentials.source, request.extensions(), config);
    replace(request.headers_mut(), credentials.authorization);
    State::Sending {
        call: service.call(request),
        sent,
        copy: None,
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
                StateProjection::Waiting {
                    grant,
                    mode,
                    subject,
                    unsent,
                } => {
                    let granted = ready!(grant.as_mut().poll(cx));
                    let unsent = taken(unsent);
                    let credentials = match granted {
                        Ok(grant) => this.config.granted(grant, subject, *mode),
                        Err(error) => this.config.not_granted(error, unsent.1.extensions())?,
                    };
                    State::Readying {
                        credentials: Some(credentials),
                        is_replay: false,
                        unsent: Some(unsent),
                    }
                }
                StateProjection::Readying {
                    credentials,
                    is_replay,
                    unsent,
                } => {
                    if let Some((service, _)) = unsent {
                        ready!(service.poll_ready(cx)).map_err(Into::into)?;
                    }
                    let (unsent, credentials) = (taken(unsent), taken(credentials));
                    if *is_replay {
                        send_again(this.config, unsent, credentials)
                    } else {
                        send(this.config, this.replay, unsent, credentials)
                    }
                }
                StateProjection::Sending { call, sent, copy } => {
                    let mut response = ready!(call.poll(cx)).map_err(Into::into)?;
                    if this.config.reports {
                        response.extensions_mut().insert(sent.credential());
                    }
                    if response.status() != StatusCode::UNAUTHORIZED {
                        return Poll::Ready(Ok(response));
                    }
                    let renewal = copy
                        .as_ref()
                        .and_then(|_| sent.renewal(&this.config.provider));
                    let Some(grant) = renewal else {
                        sent.refused(&this.config.provider);
                        return Poll::Ready(Ok(response));
                    };
                    State::Renewing {
                        grant,
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
                    let granted = ready!(grant.as_mut().poll(cx));
                    let refusal = taken(refusal);
                    match granted {
                        Ok(grant) if !sent.is_of(grant.generation) => State::Readying {
                            credentials: sent.renewed(grant, this.config),
                            is_replay: true,
                            unsent: copy.take(),
                        },
                        // There is nothing better to send.
                        Ok(_) => return Poll::Ready(Ok(refusal)),
                        Err(error) if error.is_end_of_access_token() => {
                            return Poll::Ready(Ok(refusal));
                        }
                        Err(error) => return Poll::Ready(Err(error.into())),
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
