//! Connecting that comes to an end.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::http::Uri;
use notion_auth::BoxError;
use tower::Service;

/// Less than the 10 seconds that an OAuth call has altogether: when it runs out first, it is known that
/// nothing was sent.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connector whose whole work is limited: TCP, the proxy's answer to CONNECT, and the TLS handshake.
#[derive(Clone)]
pub(crate) struct InTime<C>(pub(crate) C);

impl<C> Service<Uri> for InTime<C>
where
    C: Service<Uri, Error = BoxError, Future: Send + 'static>,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, self.0.call(destination));
        Box::pin(async move {
            match connected.await {
                Ok(connected) => connected,
                Err(_) => Err(format!("no connection within {CONNECT_TIMEOUT:?}").into()),
            }
        })
    }
}
