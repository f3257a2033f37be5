//! What the headers of a request say about where it comes from: a click, a prefetch, a page of another site.

use http::{
    HeaderMap,
    header::{ORIGIN, REFERER},
    request::Parts,
};
use url::{Origin, Url};

use crate::flow_problem::FlowProblem;

/// Request extension that says: your application authenticated this caller by a header, such as `Authorization`, and
/// not by a cookie.
///
/// Such a `POST /disconnect` is accepted without `Sec-Fetch-Site` and `Origin`, because a page of another site can't
/// make a browser send it. If it has one of these headers, the header must name this site's origin all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticatedByHeader;

/// Request extension that says: in this flow, another Notion user or workspace may replace the one that is connected.
///
/// Set it on a callback whose user has confirmed that to your application. The callback then accepts it in spite of
/// [`refuse_another_identity`](super::NotionOAuthServiceBuilder::refuse_another_identity). Set it for no other flow: a
/// user who reconnects may choose another workspace by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnotherIdentityConfirmed;

/// Headers by which a browser or a framework says that it only loads a page in advance, with the words that say so.
const PURPOSES: [&str; 5] = [
    "sec-purpose",
    "purpose",
    // Older Safari and Firefox, and Turbo, whose scripts can't set `Sec-Purpose`.
    "x-purpose",
    "x-moz",
    "x-sec-purpose",
];
const IN_ADVANCE: [&str; 3] = ["prefetch", "prerender", "preview"];

/// Headers of Next.js that say it by being there.
const PREFETCHES: [&str; 3] = [
    "next-router-prefetch",
    "next-router-segment-prefetch",
    "x-middleware-prefetch",
];

/// Checks that a person opened this address in a tab: it is not loaded in advance, embedded, or fetched by a script.
///
/// Without `Sec-Fetch-Dest` and `Sec-Fetch-Mode`, which older browsers and programs don't send, nothing is embedded.
pub(super) fn check_opened(headers: &HeaderMap) -> Result<(), FlowProblem> {
    if is_in_advance(headers) {
        return Err(FlowProblem::Prefetch);
    }
    let is_tab = match single(headers, "sec-fetch-dest") {
        None => true,
        Some(Some("document")) => true,
        // A service worker that passes a navigation on.
        Some(Some("empty")) => single(headers, "sec-fetch-mode") == Some(Some("navigate")),
        Some(_) => false,
    };
    is_tab.then_some(()).ok_or(FlowProblem::NotOpened)
}

fn is_in_advance(headers: &HeaderMap) -> bool {
    let names_it = |value: &[u8]| {
        value
            .split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')
            .any(|word| {
                IN_ADVANCE
                    .iter()
                    .any(|it| word.eq_ignore_ascii_case(it.as_bytes()))
            })
    };
    let mut purposes = PURPOSES.iter().flat_map(|name| headers.get_all(*name));
    purposes.any(|value| names_it(value.as_bytes()))
        || PREFETCHES.iter().any(|name| headers.contains_key(*name))
}

/// Whether a page of another site sent the browser here.
///
/// A page of the same site with another origin (another subdomain or port) is not another site. Browsers without fetch
/// metadata don't name the site: there, each other origin counts, if the browser names one.
pub(super) fn is_from_another_site(headers: &HeaderMap, origin: &Origin) -> bool {
    if let Some(site) = single(headers, "sec-fetch-site") {
        return !matches!(site, Some("same-origin" | "same-site" | "none"));
    }
    [ORIGIN, REFERER]
        .iter()
        .filter_map(|name| single(headers, name.as_str()))
        .any(|sender| !is_of(sender, origin))
}

/// Whether a page of this site sent a request that changes something, or a caller that a browser can't imitate.
///
/// `Sec-Fetch-Site` comes first, because it is right as well where your pages have another origin than the redirect URI.
/// Browsers without it send `Origin` with each POST.
pub(super) fn is_own(head: &Parts, origin: &Origin) -> bool {
    if let Some(site) = single(&head.headers, "sec-fetch-site") {
        return site == Some("same-origin");
    }
    match single(&head.headers, ORIGIN.as_str()) {
        Some(sender) => is_of(sender, origin),
        None => head.extensions.get::<AuthenticatedByHeader>().is_some(),
    }
}

fn is_of(sender: Option<&str>, origin: &Origin) -> bool {
    sender
        .and_then(|sender| Url::parse(sender).ok())
        .is_some_and(|sender| sender.origin() == *origin && sender.origin().is_tuple())
}

/// Returns the header's value if there is such a header: inside, `None` if it is there twice or is not text.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let is_only = values.next().is_none();
    Some(first.to_str().ok().filter(|_| is_only))
}
