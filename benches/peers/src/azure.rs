//! azure_core: the bearer policy in front of a policy that answers immediately instead of a transport. The
//! pipeline's other policies (retries, telemetry) are left out.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    http::{
        AsyncRawResponse, Context, Method, Request, StatusCode,
        headers::{AUTHORIZATION, Headers},
        policies::{Policy, PolicyResult, auth::BearerTokenAuthorizationPolicy},
    },
    time::{Duration, OffsetDateTime},
};

use crate::{
    harness::{API, Case, VERSION},
    named, now, token,
};

const FLOOR: &str = "azure_core, transport alone";

pub(crate) fn floor() -> Case {
    let context = Context::new();
    Case::new(FLOOR, FLOOR, request, move |request| {
        send(&Transport, &context, request, &[])
    })
}

pub(crate) fn bearer_policy(with_version: bool) -> Case {
    let scopes = ["https://management.azure.com/.default"];
    let policy = BearerTokenAuthorizationPolicy::new(Arc::new(Login), scopes);
    let transport: [Arc<dyn Policy>; 1] = [Arc::new(Transport)];
    let context = Context::new();
    let warm = send(&policy, &context, request(), &transport);
    assert!(warm.headers().get_optional_str(&AUTHORIZATION).is_some());
    let name = named("azure_core, bearer policy", with_version);
    Case::new(name, FLOOR, request, move |mut request| {
        if with_version {
            request.insert_header("notion-version", VERSION);
        }
        send(&policy, &context, request, &transport)
    })
}

fn send(
    policy: &dyn Policy,
    context: &Context<'_>,
    mut request: Request,
    next: &[Arc<dyn Policy>],
) -> Request {
    now(policy.send(context, &mut request, next)).expect("an answer");
    request
}

fn request() -> Request {
    let url = format!("{}/v1/users/me", API);
    let mut request = Request::new(url.parse().expect("a URL"), Method::Get);
    request.insert_header("accept", "application/json");
    request.insert_header("content-type", "application/json");
    request.insert_header("user-agent", "bench/1.0");
    request.insert_header("x-request-id", "0123456789abcdef");
    request
}

#[derive(Debug)]
struct Transport;

#[async_trait]
impl Policy for Transport {
    async fn send(&self, _: &Context, _: &mut Request, _: &[Arc<dyn Policy>]) -> PolicyResult {
        let (status, headers) = (StatusCode::Ok, Headers::new());
        Ok(AsyncRawResponse::from_bytes(status, headers, &[][..]))
    }
}

/// Returns a token that is valid for an hour.
#[derive(Debug)]
struct Login;

#[async_trait]
impl TokenCredential for Login {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let expiry = OffsetDateTime::now_utc() + Duration::hours(1);
        Ok(AccessToken::new(token(), expiry))
    }
}
