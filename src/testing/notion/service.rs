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

/// No call of the mocked API is larger.
const MAX_REQUEST_BODY: usize = 1024 * 1024;

/// In-process Tower service of a [`MockNotion`](super::MockNotion).
///
/// It looks only at the path of a request, not at the scheme or authority, so that it can serve requests to
/// `https://api.notion.com`. All waiting uses Tokio's clock, so delays take no real time under
/// `tokio::time::pause`. A closed connection is a [`MockError`].
///
/// # Cancel safety
/// Nothing happens before the future is polled. If it is dropped while it waits, a call that was not
/// processed yet has no effect, and the effect of a processed call stays.
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
