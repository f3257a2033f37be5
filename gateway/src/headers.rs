//! Which headers pass, and which are for one connection or for one side only.

use axum::http::{
    HeaderMap, HeaderName,
    header::{
        ALT_SVC, AUTHORIZATION, CONNECTION, COOKIE, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, PUBLIC_KEY_PINS, SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
};

/// RFC 9110 section 7.6.1.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What says who called the gateway, and how, which is not Notion's to know.
const FOR_THE_GATEWAY: [HeaderName; 13] = [
    AUTHORIZATION,
    COOKIE,
    EXPECT,
    FORWARDED,
    HOST,
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("x-real-ip"),
    // By these some servers take another path or method than the request's.
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

/// The same, by how names begin: what servers in front that sign users in say of them, with their tokens. These
/// are the usual ones; there is no list of all.
const OF_SERVERS_IN_FRONT: [&str; 12] = [
    "cf-access-",
    "remote-",
    "tailscale-user-",
    "x-amzn-oidc-",
    "x-auth-request-",
    "x-authentik-",
    "x-forwarded-",
    "x-goog-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-pomerium-",
    "x-remote-",
];

/// What tells a browser something about Notion's origin, which it would take for the gateway's.
const OF_NOTIONS_ORIGIN: [HeaderName; 8] = [
    ALT_SVC,
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("nel"),
    PUBLIC_KEY_PINS,
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
    SET_COOKIE,
    STRICT_TRANSPORT_SECURITY,
];

/// Leaves of a request's headers what goes on to Notion.
pub(crate) fn clean_request(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    for name in FOR_THE_GATEWAY {
        headers.remove(name);
    }
    let forwarded: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            OF_SERVERS_IN_FRONT
                .iter()
                .any(|begin| name.as_str().starts_with(begin))
        })
        .cloned()
        .collect();
    for name in forwarded {
        headers.remove(name);
    }
}

/// Leaves of an answer's headers what goes back to the caller.
pub(crate) fn clean_response(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    for name in OF_NOTIONS_ORIGIN {
        headers.remove(name);
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.into_iter().chain(HOP_BY_HOP) {
        headers.remove(name);
    }
}
