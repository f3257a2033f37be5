use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tower_service::Service;

use super::{body::MockBody, error::MockError, route, state::Shared};

/// No call of this API is longer.
const MAX_REQUEST_BODY: usize = 1024 * 1024;

/// A [`MockNotion`](super::MockNotion) as a Tower service, in process.
///
/// It looks at the path of a request and not at its scheme or authority, so that it can stand in for
/// `https://api.notion.com` as well. It waits by Tokio's clock only: with `tokio::time::pause` a delay
/// takes no time. A closed connection is a [`MockError`].
///
/// Nothing happens before the future is polled. Dropped while it waits, it leaves undone what it had
/// not decided yet, and never undoes what it had.
#[derive(Clone)]
pub struct MockNotionService {
    shared: Arc<Shared>,
}

impl MockNotionService {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl<B> Service<Request<B>> for MockNotionService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<MockBody>;
    type Error = MockError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<MockBody>, MockError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), MockError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = Limited::new(body, MAX_REQUEST_BODY);
            let body = body.collect().await.map_err(MockError::request)?.to_bytes();
            route::answer(shared, head, body).await
        })
    }
}

impl fmt::Debug for MockNotionService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockNotionService").finish_non_exhaustive()
    }
}
