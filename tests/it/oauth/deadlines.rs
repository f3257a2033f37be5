//! Time limits of OAuth calls.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use notion_auth::{
    provider::RefreshPolicy,
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};
use tokio::time::{Instant, sleep};
use tower::service_fn;

use super::{Kind, app, assert_connected, built, call, code, fails, flow, provider};

#[tokio::test(start_paused = true)]
async fn call_without_an_answer_within_10_seconds_is_ambiguous() {
    let after = |milliseconds| Fault::DelayAfter(Duration::from_millis(milliseconds));
    for fault in [
        Fault::HangAfter,
        Fault::HangBefore,
        after(10_001),
        after(9_999),
    ] {
        let notion = MockNotion::in_process();
        let flow = flow(&notion);
        let code = code(&notion, &flow);
        let is_in_time = fault == after(9_999);
        notion.script(Call::TokenExchange, [fault]);
        let start = Instant::now();
        let exchanged = flow.exchange_code(&code).await;
        if is_in_time {
            assert_connected(&notion, &exchanged.expect("a connection"));
        } else {
            fails(exchanged, &Kind::Ambiguous);
            assert_eq!(start.elapsed().as_secs(), 10);
        }
        assert_eq!(notion.ledger().presentations_of(&code).len(), 1);
    }
}

/// A body that starts and never ends.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn deadline_covers_head_and_body_together() {
    let mut policy = RefreshPolicy::default();
    policy.timings.call = Duration::from_secs(4);
    let transport = service_fn(|_: Request<Full<Bytes>>| async {
        sleep(Duration::from_secs(3)).await;
        Ok::<_, Infallible>(Response::new(Endless))
    });
    let builder = provider(app()).transport(transport);
    let flow = built(builder.refresh_policy(policy));
    let start = Instant::now();
    fails(call(&flow, "introspect").await, &Kind::Ambiguous);
    assert_eq!(start.elapsed().as_secs(), 4);
}
