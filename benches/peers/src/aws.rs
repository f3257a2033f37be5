//! aws-smithy-runtime: the lazy identity cache and the bearer scheme, called as its orchestrator does for
//! an attempt. The rest of the orchestrator is left out.

use std::time::{Duration, SystemTime};

use aws_smithy_async::{rt::sleep::TokioSleep, time::SystemTimeSource};
use aws_smithy_runtime::client::{
    auth::http::BearerAuthScheme, identity::IdentityCache,
    orchestrator::endpoints::StaticUriEndpointResolver, retries::strategy::NeverRetryStrategy,
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{
            AuthScheme as _, AuthSchemeEndpointConfig, http::HTTP_BEARER_AUTH_SCHEME_ID,
            static_resolver::StaticAuthSchemeOptionResolver,
        },
        identity::{
            Identity, IdentityFuture, ResolveCachedIdentity as _, ResolveIdentity, http::Token,
        },
        orchestrator::HttpRequest,
        runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag};

use crate::{
    RUNTIME,
    harness::{API, Case, VERSION, request},
    named, now, token,
};

const FLOOR: &str = "aws-smithy-runtime, a request alone";

pub(crate) fn floor() -> Case {
    Case::new(FLOOR, FLOOR, own_request, |request| request)
}

pub(crate) fn lazy_cache(with_version: bool) -> Case {
    let components = components();
    let config = ConfigBag::base();
    let mut warm = own_request();
    let signed = RUNTIME.block_on(sign(&components, &config, &mut warm));
    signed.expect("a token");
    assert!(warm.headers().get("authorization").is_some());
    let name = named("aws-smithy-runtime, lazy cache", with_version);
    Case::new(name, FLOOR, own_request, move |mut request| {
        now(sign(&components, &config, &mut request)).expect("a token");
        if with_version {
            request.headers_mut().insert("notion-version", VERSION);
        }
        request
    })
}

async fn sign(
    components: &RuntimeComponents,
    config: &ConfigBag,
    request: &mut HttpRequest,
) -> Result<(), BoxError> {
    let scheme = components
        .auth_scheme(HTTP_BEARER_AUTH_SCHEME_ID)
        .ok_or("no scheme")?;
    let resolver = scheme.identity_resolver(components).ok_or("no identity")?;
    let identity = components
        .identity_cache()
        .resolve_cached_identity(resolver, components, config)
        .await?;
    let endpoint = AuthSchemeEndpointConfig::empty();
    scheme
        .signer()
        .sign_http_request(request, &identity, endpoint, components, config)
}

fn components() -> RuntimeComponents {
    let cache = IdentityCache::lazy().build();
    RuntimeComponentsBuilder::new("bench")
        .with_auth_scheme(BearerAuthScheme::new())
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![
            HTTP_BEARER_AUTH_SCHEME_ID,
        ])))
        .with_endpoint_resolver(Some(StaticUriEndpointResolver::uri(API)))
        .with_identity_cache(Some(cache))
        .with_identity_resolver(HTTP_BEARER_AUTH_SCHEME_ID, Login)
        .with_retry_strategy(Some(NeverRetryStrategy::new()))
        .with_sleep_impl(Some(TokioSleep::new()))
        .with_time_source(Some(SystemTimeSource::new()))
        .build()
        .expect("components")
}

/// Returns a token that is valid for an hour.
#[derive(Debug)]
struct Login;

impl ResolveIdentity for Login {
    fn resolve_identity<'a>(
        &'a self,
        _: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        let expiry = Some(SystemTime::now() + Duration::from_secs(60 * 60));
        IdentityFuture::ready(Ok(Identity::new(Token::new(token(), expiry), expiry)))
    }
}

fn own_request() -> HttpRequest {
    let request = request(500).map(|()| SdkBody::empty());
    request.try_into().expect("a request")
}
