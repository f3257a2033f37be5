//! Trait implementations of public types, checked at compile time.

use std::cell::Cell;

use http::{Request, Response};
use notion_auth::{
    AuthError, Event, ExplicitCredentials, MemoryStore, Mode, NotionAppCredentials, NotionAuth,
    NotionAuthLayer, NotionAuthProvider, NotionUserCredentials, RetryRateLimited, Session, Subject,
    integrations::axum::Connection,
    layer::{BufferedBody, CloneBody, NoReplay, ResponseFuture, SessionService},
    oauth::{CallbackAnswer, OAuthError, OAuthFlow, PendingFlow},
    provider::Acquired,
    store::{StoreError, StoredRecord},
    testing::notion::MockNotionService,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};
use tower::{Layer, Service};

use crate::support::Body;

type Inner = MockNotionService;

assert_impl_all!(NotionAuthLayer: Clone, std::fmt::Debug, Send, Sync, Unpin);
assert_impl_all!(NotionAuth<Inner>: Clone, std::fmt::Debug, Send, Sync, Unpin);
assert_impl_all!(SessionService<Inner>: Clone, std::fmt::Debug, Send, Sync);
assert_impl_all!(ResponseFuture<Inner, Body, NoReplay>: std::fmt::Debug, Send);
assert_impl_all!(ResponseFuture<Inner, Body, CloneBody>: Send);
assert_impl_all!(BufferedBody<Body>: std::fmt::Debug, Send, Sync, Unpin);
assert_impl_all!(NotionAuthProvider: Clone, std::fmt::Debug, Send, Sync, Unpin);
assert_impl_all!(AuthError: Clone, std::error::Error, Send, Sync, Unpin);
assert_impl_all!(OAuthError: std::error::Error, Send, Sync);
assert_impl_all!(StoreError: std::error::Error, Send, Sync);
assert_impl_all!(OAuthFlow: Clone, std::fmt::Debug, Send, Sync);
assert_impl_all!(Session: Clone, std::fmt::Debug, Send, Sync);
assert_impl_all!(Subject: Clone, std::fmt::Debug, Eq, std::hash::Hash, Send, Sync);
assert_impl_all!(Event: Clone, std::fmt::Debug, Eq, Send, Sync);
assert_impl_all!(Connection: Clone, std::fmt::Debug, Eq, Send, Sync);
assert_impl_all!(RetryRateLimited: Clone, std::fmt::Debug, Send, Sync, Unpin);
assert_impl_all!(Mode: Copy, Send, Sync);
assert_impl_all!(MemoryStore: Clone, std::fmt::Debug, Send, Sync);
assert_impl_all!(PendingFlow: serde::Serialize, serde::de::DeserializeOwned, Clone, Send, Sync);

// There must be no way to print, compare or serialize a token implicitly.
assert_not_impl_any!(notion_auth::AccessToken: std::fmt::Display, PartialEq, serde::Serialize);
assert_not_impl_any!(NotionUserCredentials: std::fmt::Display, PartialEq, serde::Serialize);
assert_not_impl_any!(NotionAppCredentials: std::fmt::Display, PartialEq, serde::Serialize);
assert_not_impl_any!(Acquired: std::fmt::Display, serde::Serialize);
assert_not_impl_any!(ExplicitCredentials: std::fmt::Display, serde::Serialize);
assert_not_impl_any!(CallbackAnswer: std::fmt::Display, serde::Serialize);
assert_not_impl_any!(StoredRecord: std::fmt::Display, serde::Serialize);

/// A service, a body and an error that are not `Send`, which none of them must be.
#[derive(Clone)]
struct Local(std::rc::Rc<Cell<u32>>);

impl Service<Request<std::rc::Rc<()>>> for Local {
    type Response = Response<std::rc::Rc<()>>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<std::rc::Rc<()>>) -> Self::Future {
        self.0.set(self.0.get() + 1);
        std::future::ready(Ok(Response::new(request.into_body())))
    }
}

#[tokio::test]
async fn service_and_body_need_not_be_send() {
    let provider = notion_auth::testing::fixed_token("ntn_1", "https://api.notion.com").unwrap();
    let count = std::rc::Rc::new(Cell::new(0));
    let layer = NotionAuthLayer::refreshing(provider).without_replay();
    let mut service = layer.layer(Local(count.clone()));
    let request = Request::get("https://api.notion.com/").body(std::rc::Rc::new(()));
    std::future::poll_fn(|cx| service.poll_ready(cx))
        .await
        .unwrap();
    service.call(request.unwrap()).await.unwrap();
    assert_eq!(count.get(), 1);
}
