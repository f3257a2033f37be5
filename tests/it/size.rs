//! What a hit costs in memory. Exact, so a test; times belong to benches.

use std::{convert::Infallible, future::Ready};

use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use notion_auth::{
    AccessToken, ExplicitCredentials, Mode, NotionAuth, NotionAuthLayer, NotionAuthProvider,
    Subject,
    layer::NoReplay,
    testing::{self, MockNotion},
};
use tower::{Layer, Service};

type Body = ();

#[derive(Clone)]
struct Inner;

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        std::hint::black_box(&request);
        drop(request);
        std::future::ready(Ok(Response::new(())))
    }
}

/// Services whose futures are of different sizes and have room for a tag or none.
struct Of<F>(std::marker::PhantomData<F>);

impl<F> Clone for Of<F> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Service<Request<Body>> for Of<F> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = F;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> F {
        unreachable!("only its size matters")
    }
}

struct Opaque<const N: usize>([u64; N]);

impl<const N: usize> Future for Opaque<N> {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::hint::black_box(self.0);
        std::task::Poll::Pending
    }
}

fn assert_small<F: Future<Output = Result<Response<Body>, Infallible>>>() {
    type Outer<F> = <NotionAuth<Of<F>, NoReplay> as Service<Request<Body>>>::Future;
    let (inner, outer) = (size_of::<F>(), size_of::<Outer<F>>());
    assert!(outer <= inner + 16, "{inner} bytes became {outer}");
}

#[test]
fn the_future_of_a_hit_is_at_most_16_bytes_larger_than_the_inner_one() {
    assert_small::<Opaque<0>>();
    assert_small::<Opaque<1>>();
    assert_small::<Opaque<7>>();
    assert_small::<Ready<Result<Response<Body>, Infallible>>>();
    assert_small::<std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>>>>>();
}

fn request() -> Request<Body> {
    let mut request = Request::get("https://api.notion.com/v1/users/me")
        .header("accept", "application/json")
        .header("user-agent", "test")
        .header("x-one", "1")
        .header("x-two", "2")
        .body(())
        .unwrap();
    request.extensions_mut().insert(Subject::new("ann"));
    request
}

/// How often `send` allocates for a request that was made before.
fn allocations(send: impl FnOnce(Request<Body>)) -> u64 {
    let request = request();
    allocation_counter::measure(|| send(request)).count_total
}

#[test]
fn default_layer_allocates_once_for_a_cached_request() {
    let provider = connected();
    let mut service = NotionAuthLayer::refreshing(provider.clone()).layer(Inner);
    let mut without_replay = NotionAuthLayer::refreshing(provider)
        .without_replay()
        .layer(Inner);
    let mut with = || allocations(|request| drop(poll::ready(service.call(request))));
    let mut without = || allocations(|request| drop(poll::ready(without_replay.call(request))));
    // The first request of a thread makes its thread-local values.
    without();
    for _ in 0..2 {
        assert_eq!(with(), without() + 1);
    }
}

fn connected() -> NotionAuthProvider {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let notion = MockNotion::in_process();
    let builder = notion.provider_builder().unwrap();
    let provider = builder.api_url("https://api.notion.com").build().unwrap();
    runtime
        .block_on(provider.store_credentials(&"ann".into(), notion.connect()))
        .unwrap();
    provider
}

#[test]
fn a_hit_allocates_nothing_beyond_two_raw_inserts() {
    let mut service = NotionAuthLayer::refreshing(connected())
        .without_replay()
        .layer(Inner);

    let token = HeaderValue::from_static("Bearer x");
    let version = HeaderValue::from_static("2026-03-11");
    let raw = allocations(|mut request| {
        request.headers_mut().insert(AUTHORIZATION, token.clone());
        request
            .headers_mut()
            .insert(notion_auth::header::NOTION_VERSION, version.clone());
        drop(poll::ready(Inner.call(request)));
    });
    let mut hit = || {
        allocations(|request| {
            drop(poll::ready(service.call(request)));
        })
    };
    // The first request of a thread makes its thread-local values.
    hit();
    assert_eq!(hit(), raw);

    // What else a request's extensions hold, and other credentials, cost no more.
    let mut crowded = |identify: &dyn Fn(&mut http::Extensions)| {
        let mut request = request();
        request.extensions_mut().insert("of another middleware");
        identify(request.extensions_mut());
        let send = || drop(poll::ready(service.call(request)));
        allocation_counter::measure(send).count_total
    };
    let explicit = ExplicitCredentials::new(&AccessToken::new("ntn_1")).unwrap();
    assert_eq!(crowded(&|_| {}), raw, "with another extension");
    assert_eq!(
        crowded(&|it| {
            it.insert(Mode::FailFast);
        }),
        raw,
        "with a mode"
    );
    assert_eq!(
        crowded(&|it| {
            it.insert(explicit.clone());
        }),
        raw,
        "with explicit credentials"
    );
    let provider = testing::fixed_token("ntn_1", "https://api.notion.com").unwrap();
    let mut service = NotionAuthLayer::refreshing(provider)
        .without_replay()
        .layer(Inner);
    let integration = allocations(|request| drop(poll::ready(service.call(request))));
    assert_eq!(integration, raw, "with the integration token");
}

/// Polls a future that is ready at once.
mod poll {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    pub(super) fn ready<F: Future>(future: F) -> F::Output {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(future).poll(&mut context) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it waits"),
        }
    }
}
