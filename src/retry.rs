//! Notion's "too many" waited out: a policy for Tower's [`Retry`](tower::retry::Retry).

use std::time::Duration;

use http::{Request, Response, StatusCode};
use tokio::time::Sleep;
use tower::retry::Policy;

use crate::header::retry_after;

/// A [`Policy`] that sends a request again when Notion says that there were too many: 429
/// `rate_limited` and 529 `service_overload`, whatever the method, as Notion's official clients do.
/// Nothing else is sent again, no error and no other status: what is answered with 503 may be done
/// already.
///
/// The request waits for as long as the response's `Retry-After` says, in seconds or as a date; without
/// one for 1, 2, 4, … seconds. A value that can't be read, or is more than a day from now, means
/// [`longest_pause`](Self::longest_pause). After the last try, or when the pause would be longer than
/// that, the response goes to the caller as it is. A future that is dropped in between sends nothing more.
/// The timer is Tokio's.
///
/// Requests are cloned with their extensions, so each try is still its subject's. It goes outside of
/// the layer, so that each try has the credentials of its moment:
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
/// let request = Request::get(format!("{}/v1/users/me", notion.base_url())).extension(Subject::new("ann"));
/// assert_eq!(client.oneshot(request.body(Empty::<Bytes>::new())?).await?.status(), 200);
/// # Ok(()) }
/// ```
///
/// Not in a gateway for Notion's official clients: they do the same, and the tries multiply.
#[derive(Debug, Clone)]
pub struct RetryRateLimited {
    retries: u32,
    longest_pause: Duration,
    /// The next pause, if the answer says none.
    pause: Duration,
}

impl RetryRateLimited {
    /// Two retries, as Notion's official clients do, and pauses of up to 60 seconds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            retries: 2,
            longest_pause: Duration::from_secs(60),
            pause: Duration::from_secs(1),
        }
    }

    /// How often a request is sent again at most.
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// Maximum pause before each retry. If the server asks for a longer pause, the response is returned
    /// to the caller: an earlier retry would be refused as well.
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

/// 529 is Notion's own.
fn is_too_many(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.as_u16() == 529
}
