//! The name by which a browser reached the gateway.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header::HOST, uri::Authority},
    middleware::Next,
    response::Response,
};
use url::Url;

use crate::{
    access, envelope,
    keys::{GatewayKeys, Refused, Rights},
    site::{Site, is_loopback},
};

/// Browsers' requests, and by what name they may come.
#[derive(Clone)]
pub(crate) struct Hosts {
    pub(crate) site: Arc<Site>,
    pub(crate) keys: Arc<GatewayKeys>,
}

/// Refuses requests for another host than the public URL's. Otherwise a page of any site could reach the gateway by a name
/// that it lets resolve to the gateway's address, and would share its origin.
///
/// A request with a key may come by any name, because such a page has no key.
pub(crate) async fn only_public(
    State(Hosts { site, keys }): State<Hosts>,
    request: Request,
    next: Next,
) -> Response {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (request.uri().authority(), hosts.next(), hosts.next()) {
        (Some(authority), _, None) => Some(authority.clone()),
        (None, Some(host), None) => host.to_str().ok().and_then(|host| host.parse().ok()),
        _ => None,
    };
    if host.is_some_and(|host| is_public(&host, site.url())) {
        return next.run(request).await;
    }
    match keys.check(request.headers(), Rights::CONNECT, request.uri().path()) {
        Ok(_) => return next.run(request).await,
        Err(Refused::NoKey) => {}
        // A service reads what is wrong with its key.
        Err(refused) => {
            access::refuse(&request, &refused);
            return *keys.refuse(refused).await;
        }
    }
    // A browser in the local network: GATEWAY_PUBLIC_URL can't be its http:// URL.
    let way_out = match site.is_https() {
        true => "",
        false => {
            ". By http, only a browser on the gateway's own machine can sign in: for others, put a server that \
             has TLS in front, and set GATEWAY_PUBLIC_URL to its https:// URL"
        }
    };
    let message = format!(
        "the Host of the request is not that of GATEWAY_PUBLIC_URL: open {}{way_out}. A server in front must pass on \
         the Host that it received",
        site.address("/connect")
    );
    *envelope::refusal(
        "host",
        StatusCode::MISDIRECTED_REQUEST,
        "invalid_request_url",
        &message,
    )
}

fn is_public(authority: &Authority, public_url: &Url) -> bool {
    let scheme = public_url.scheme();
    let Ok(requested) = Url::parse(&format!("{scheme}://{authority}/")) else {
        return false;
    };
    let is_same_port = requested.port_or_known_default() == public_url.port_or_known_default();
    let is_same_host = requested.host() == public_url.host()
        || (is_loopback(public_url) && is_loopback(&requested));
    let has_user = !requested.username().is_empty() || requested.password().is_some();
    is_same_port && is_same_host && !has_user
}
