//! Who takes part.

use notion_auth::NotionAuthLayer;
use tower::Layer as _;

use crate::{
    aws, azure, google,
    headers::{self, FLOOR, Job},
    kube, middleware,
    support::{
        inner::Inner,
        prepared::Prepared,
        residents::{Expiry, provider},
    },
};

pub(crate) const OURS: &str = "notion-auth";
const OURS_EXPIRING: &str = "notion-auth, expiry known";

/// What is printed of a case.
pub(crate) struct Entry {
    pub(crate) name: String,
    /// The case that has everything but the credentials.
    pub(crate) floor: &'static str,
    pub(crate) kind: Kind,
    pub(crate) request: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Static,
    /// Looks up a token for each request; of that crate.
    Peer(&'static str, Job),
    /// A stack of reqwest-middleware.
    Stack,
}

pub(crate) struct Contest {
    pub(crate) entries: Vec<Entry>,
    pub(crate) work: Vec<Prepared>,
}

pub(crate) fn contest() -> Contest {
    // reqwest makes no client without, although nothing here is encrypted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let thousand = provider(1_000, Expiry::Unknown);
    let expiring = provider(1_000, Expiry::Known);
    let layer = |provider| NotionAuthLayer::refreshing(provider).layer(Inner);
    Contest {
        entries: entries(),
        work: vec![
            headers::floor(),
            headers::through(OURS, layer(thousand.clone())),
            headers::through(OURS_EXPIRING, layer(expiring)),
            headers::one_static(),
            headers::two_static(),
            kube::floor(),
            kube::token_file(Job::Token),
            kube::token_file(Job::TokenAndVersion),
            kube::exec(Job::Token),
            kube::exec(Job::TokenAndVersion),
            google::cached(Job::Token),
            google::cached(Job::TokenAndVersion),
            aws::floor(),
            aws::lazy_cache(Job::Token),
            aws::lazy_cache(Job::TokenAndVersion),
            azure::floor(),
            azure::bearer_policy(Job::Token),
            azure::bearer_policy(Job::TokenAndVersion),
            middleware::floor(),
            middleware::none(),
            middleware::pass_through(),
            middleware::ours(thousand),
        ],
    }
}

pub(crate) fn entries() -> Vec<Entry> {
    let entry = |name: &str, floor, kind, request| Entry {
        name: name.to_owned(),
        floor,
        kind,
        request,
    };
    let http = "`http::Request`";
    let reqwest = "`reqwest::Request`";
    let mut entries = vec![
        entry(OURS, FLOOR, Kind::Ours, http),
        entry(OURS_EXPIRING, FLOOR, Kind::Ours, http),
        entry(headers::ONE_STATIC, FLOOR, Kind::Static, http),
        entry(headers::TWO_STATIC, FLOOR, Kind::Static, http),
    ];
    let peers = [
        ("kube-client", kube::FILE, kube::FLOOR, http),
        ("kube-client", kube::EXEC, kube::FLOOR, http),
        ("google-cloud-auth", google::CACHED, FLOOR, http),
        ("aws-smithy-runtime", aws::LAZY_CACHE, aws::FLOOR, "its own"),
        ("azure_core", azure::BEARER, azure::FLOOR, "its own"),
    ];
    for job in [Job::Token, Job::TokenAndVersion] {
        for (package, name, floor, request) in peers {
            let kind = Kind::Peer(package, job);
            entries.push(entry(&job.name(name), floor, kind, request));
        }
    }
    entries.extend([
        entry(middleware::NONE, middleware::FLOOR, Kind::Stack, reqwest),
        entry(middleware::PASS, middleware::NONE, Kind::Stack, reqwest),
        entry(middleware::OURS, middleware::NONE, Kind::Stack, reqwest),
    ]);
    entries
}
