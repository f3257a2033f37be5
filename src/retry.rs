//! A retry policy for Notion's rate limits, for Tower's [`Retry`](tower::retry::Retry).

use std::time::Duration;

use http::{Request, Response, StatusCode};
use tokio::time::Sleep;
use tower::retry::Policy;

use crate::header::retry_after;

/// A retry [`Policy`](tower::retry::Policy) for requests that Notion rejected for rate limiting.
///
/// It retries status 429 `rate_limited` and 529 `service_overload` for every HTTP method, as Notion's
/// official clients do. Errors and other statuses are not retried: a request answered with 503 may have
/// been processed.
///
/// The pause is the response's `Retry-After`, in seconds or as a date. Without that header it is 1, 2, 4, …
/// seconds. A value that cannot be parsed, or is more than a day from now, counts as
/// [`longest_pause`](Self::longest_pause). The response is returned to the caller after the last retry, or
/// when the pause would exceed `longest_pause`. Pauses use Tokio's timer.
///
/// # Cancel safety
/// Dropping the future during a pause sends nothing more.
///
/// Requests are cloned with their extensions, so each retry has the same subject. Put the policy outside of
/// the layer, so that each attempt gets the current credentials:
///
/// ```
/// use bytes::Bytes;
/// use http::Request;
/// use http_body_util::Empty;
/// use notion_auth::{
///     NotionAuthLayer, RetryRateLimited, Subject, https_client,
///     testing::{MockNotion, notion::{Call, Fault}},
/// };
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), notion_auth::BoxError> {
/// # let notion = MockNotion::start().await?;
/// # let provider = notion.provider_builder()?.build()?;
/// # provider.store_credentials(&"ann".into(), notion.connect()).await?;
/// let client = ServiceBuilder::new()
///     .retry(RetryRateLimited::new())
///     .layer(NotionAuthLayer::refreshing(provider))
///     .service(https_client());
///
/// notion.script(Call::Api, [Fault::RateLimited { retry_after: Some(0) }]);
/// let request = Request::get("/v1/users/me").extension(Subject::new("ann"));
/// assert_eq!(client.oneshot(request.body(Empty::<Bytes>::new())?).await?.status(), 200);
/// # Ok(()) }
/// ```
///
/// Do not use it in a gateway for Notion's official clients. They retry in the same way, and the retries
/// multiply.
#[derive(Debug, Clone)]
pub struct RetryRateLimited {
    retries: u32,
    longest_pause: Duration,
    /// The next pause, if the response has no `Retry-After`.
    pause: Duration,
}

impl RetryRateLimited {
    /// Creates the policy of Notion's official clients: two retries, and pauses of up to 60 seconds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            retries: 2,
            longest_pause: Duration::from_secs(60),
            pause: Duration::from_secs(1),
        }
    }

    /// Sets the maximum number of retries.
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// Sets the maximum pause before each retry.
    ///
    /// If the server asks for a longer pause, the response is returned to the caller, because an earlier
    /// retry would be rejected as well.
    #[must_use]
    pub fn longest_pause(self, longest_pause: Duration) -> Self {
        Self {
            longest_pause,
            ..self
        }
    }
}

impl Default for RetryRateLimited {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: Clone, ResBody, E> Policy<Request<B>, Response<ResBody>, E> for RetryRateLimited {
    type Future = Sleep;

    fn retry(
        &mut self,
        _: &mut Request<B>,
        result: &mut Result<Response<ResBody>, E>,
    ) -> Option<Sleep> {
        let response = result.as_ref().ok().filter(|it| is_too_many(it.status()))?;
        let pause = retry_after(response.headers(), self.longest_pause).unwrap_or(self.pause);
        if pause > self.longest_pause {
            return None;
        }
        self.retries = self.retries.checked_sub(1)?;
        self.pause = self.pause.saturating_mul(2);
        Some(tokio::time::sleep(pause))
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        (self.retries > 0).then(|| request.clone())
    }
}

/// 529 is specific to Notion.
fn is_too_many(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.as_u16() == 529
}
