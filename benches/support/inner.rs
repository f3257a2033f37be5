//! The service that everything is measured around, and the requests that it gets.

use std::{
    cell::RefCell,
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use http::{
    HeaderValue, Request, Response,
    header::{ACCEPT, CONTENT_TYPE, USER_AGENT},
};
use notion_auth::Subject;
use tower::Service;

pub(crate) const API: &str = "https://api.notion.com";

/// How many requests are made before any of them is sent.
pub(crate) const BATCH: usize = 8;

thread_local! {
    static SENT: RefCell<Vec<Request<()>>> = RefCell::new(Vec::with_capacity(BATCH));
}

/// Takes requests in and answers at once. What it took is dropped by [`forget_sent`], when nobody
/// measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inner;

impl Service<Request<()>> for Inner {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        SENT.with_borrow_mut(|sent| sent.push(request));
        ready(Ok(Response::new(())))
    }
}

/// Room for so many requests of this thread that taking them in allocates nothing.
pub(crate) fn make_room(requests: usize) {
    SENT.with_borrow_mut(|sent| sent.reserve(requests));
}

pub(crate) fn forget_sent() {
    SENT.with_borrow_mut(Vec::clear);
}

/// The name of a subject: 36 bytes, as a UUID has.
pub(crate) fn name(number: usize) -> String {
    format!("workspace-{number:026}")
}

/// A request with four headers, three of them constants as clients have them, and a subject of its own
/// making.
pub(crate) fn request(subject: usize) -> Request<()> {
    let constant = HeaderValue::from_static;
    let mut request = Request::get("https://api.notion.com/v1/users/me")
        .header(ACCEPT, constant("application/json"))
        .header(CONTENT_TYPE, constant("application/json"))
        .header(USER_AGENT, constant("bench/1.0"))
        .header("x-request-id", "0123456789abcdef")
        .body(())
        .expect("a request");
    request.extensions_mut().insert(Subject::new(name(subject)));
    request
}

/// Sends a request by a service that is ready, and waits for the answer, which must be there.
#[inline]
pub(crate) fn send<S: Service<Request<()>>>(service: &mut S, request: Request<()>) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    match pin!(service.call(request)).poll(&mut context) {
        Poll::Ready(response) => drop(black_box(response)),
        Poll::Pending => panic!("the answer is not there"),
    }
}
