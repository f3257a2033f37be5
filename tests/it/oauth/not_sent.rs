//! Calls that were certainly not sent. `protocol::transport` has more of them.

use std::{
    error::Error,
    fmt,
    future::Pending,
    io,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use notion_auth::{
    BoxError,
    oauth::{NotSent, OAuthError},
};
use tokio::net::TcpSocket;
use tower::service_fn;
use tower_service::Service;

use super::{CALLS, Kind, all_texts, app, assert_shows_none_of, built, call, fails, provider};

#[tokio::test]
async fn refused_connection_is_not_sent() {
    // Bound but not listening: connections are refused, and no other program gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    for scheme in ["http", "https"] {
        let app = app().token_url(format!("{scheme}://{address}/token"));
        let flow = built(provider(app));
        for name in CALLS {
            let error = fails(call(&flow, name).await, &Kind::NotSent);
            assert!(error.source().is_some());
            let secrets = ["c0de", "nrt_1", "ntn_1", "3d4c"];
            assert_shows_none_of(&all_texts(&error), &secrets);
        }
    }
}

/// A transport whose `poll_ready` returns this value.
#[derive(Clone)]
struct NotReady(fn() -> Poll<Result<(), io::Error>>);

impl Service<Request<Full<Bytes>>> for NotReady {
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = Pending<Result<Self::Response, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        (self.0)()
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        panic!("called without being ready")
    }
}

#[tokio::test(start_paused = true)]
async fn transport_that_is_not_ready_has_sent_nothing() {
    let closed = NotReady(|| Poll::Ready(Err(io::Error::other("closed"))));
    for transport in [closed, NotReady(|| Poll::Pending)] {
        let flow = built(provider(app()).transport(transport));
        for name in CALLS {
            fails(call(&flow, name).await, &Kind::NotSent);
        }
    }
}

#[derive(Debug)]
struct Wrapped(BoxError);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the transport failed")
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// Makes a call whose transport fails with this error.
async fn transport_fails(error: fn() -> BoxError, expected: Kind) -> OAuthError {
    let transport = service_fn(move |_: Request<Full<Bytes>>| async move {
        Err::<Response<Full<Bytes>>, BoxError>(error())
    });
    let flow = built(provider(app()).transport(transport));
    fails(call(&flow, "refresh").await, &expected)
}

#[tokio::test(start_paused = true)]
async fn transport_error_is_ambiguous_unless_its_source_is_not_sent() {
    let not_sent: [fn() -> BoxError; 3] = [
        || NotSent::new("no route").into(),
        || Wrapped(NotSent::new("no route").into()).into(),
        || Wrapped(Wrapped(NotSent::new(io::Error::other("x")).into()).into()).into(),
    ];
    for error in not_sent {
        transport_fails(error, Kind::NotSent).await;
    }
    let ambiguous: [fn() -> BoxError; 3] = [
        || "reset".into(),
        || io::Error::from(io::ErrorKind::ConnectionRefused).into(),
        || Wrapped("the request was not sent".into()).into(),
    ];
    for error in ambiguous {
        let error = transport_fails(error, Kind::Ambiguous).await;
        assert!(error.source().is_some());
    }
}
