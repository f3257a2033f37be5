//! Processes a call: records it, applies the fault, and makes the decision, in this order.

use std::{future::pending, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Response, request::Parts};
use tokio::time::sleep;

use super::{
    api, authorize,
    body::MockBody,
    error::MockError,
    fault::{Call, Fault},
    inspect,
    ledger::Outcome,
    log::Presented,
    oauth,
    options::{ErrorShape, Options},
    respond::Reply,
    state::{Decision, Shared, State},
    token,
};

/// Processes and commits a call in one step without waiting, so that a disconnect cannot separate the two.
type Decide = fn(&Options, &mut State, &Parts, &Bytes) -> Decision;

pub(super) async fn answer(
    shared: Arc<Shared>,
    head: Parts,
    body: Bytes,
) -> Result<Response<MockBody>, MockError> {
    let page = |reply: Reply| Ok(reply.map(|body| MockBody::whole(body, None)));
    let (call, presented, decide): (Call, Option<Presented>, Decide) =
        match (&head.method, head.uri.path()) {
            (&Method::GET, authorize::PATH) => return page(authorize::show(&shared, &head)),
            (&Method::POST, authorize::DECISION_PATH) => {
                return page(authorize::decide(&shared, &body));
            }
            (&Method::POST, "/v1/oauth/token") => {
                let (call, presented) = oauth::token_call(&body);
                (call, presented, token::decide)
            }
            (&Method::POST, "/v1/oauth/introspect") => (
                Call::Introspect,
                oauth::subject_token(&body),
                inspect::introspect,
            ),
            (&Method::POST, "/v1/oauth/revoke") => {
                (Call::Revoke, oauth::subject_token(&body), inspect::revoke)
            }
            _ => (Call::Api, api::presented(&head.headers), api::decide),
        };
    conduct(&shared, call, presented, &head, &body, decide).await
}

async fn conduct(
    shared: &Arc<Shared>,
    call: Call,
    presented: Option<Presented>,
    head: &Parts,
    body: &Bytes,
    decide: Decide,
) -> Result<Response<MockBody>, MockError> {
    let (handling, mut fault) = shared.arrived(call, head, presented);
    if call.is_token() {
        wait(shared.options.token_delay).await;
    }
    while let Fault::AfterDelay(delay, next) = fault {
        wait(delay).await;
        fault = *next;
    }
    let shape = match &fault {
        _ if call == Call::Api => ErrorShape::Api,
        Fault::Refuse { shape, .. } => *shape,
        _ => shared.options.error_shape,
    };

    match &fault {
        Fault::Delay(delay) => wait(*delay).await,
        Fault::DropBefore => return Err(MockError::dropped()),
        Fault::HangBefore => pending().await,
        _ => {}
    }
    let request_id = shared.lock().request_id();
    let reply = if let Some(reply) = fault.instead(shape, &request_id) {
        if let Fault::Refuse { code, .. } = &fault {
            shared
                .lock()
                .log
                .decided(handling.seq, Outcome::refused(code.as_str()));
        }
        reply
    } else {
        let (reply, hold) = shared.change(|state| {
            let decision = decide(&shared.options, state, head, body);
            state.log.decided(handling.seq, decision.outcome);
            (decision.reply, decision.hold)
        });
        if let Some((family, born_at)) = hold {
            shared.moved_on(family, born_at).await;
        }
        reply
    };
    match &fault {
        Fault::DelayAfter(delay) => wait(*delay).await,
        Fault::DropAfter => return Err(MockError::dropped()),
        Fault::HangAfter => pending().await,
        _ => {}
    }

    let reply = fault.spoil(reply, shape, &request_id);
    shared
        .lock()
        .log
        .answering(handling.seq, reply.status().as_u16());
    let body = if fault == Fault::Truncated {
        MockBody::truncated
    } else {
        MockBody::whole
    };
    Ok(reply.map(|data| body(data, Some(handling))))
}

/// Sleeping for zero time would still yield to the timer.
async fn wait(delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}
