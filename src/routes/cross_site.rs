//! Whether a request that changes something comes from a page of the host.

use http::{HeaderMap, header::ORIGIN, request::Parts};
use url::{Origin, Url};

/// A request extension by which the host says that it knows the caller by a header, such as
/// `Authorization`, and not by a cookie. No page of another site can make such a request, so it passes
/// though it has neither `Origin` nor `Sec-Fetch-Site`. One that has them must be of the same origin all the
/// same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticatedByHeader;

/// Whether a browser's page of `origin` sent this, or no browser did.
///
/// `Sec-Fetch-Site` is the browser's own word about it, also where the host's pages have another
/// origin than the redirect URI. Browsers without it send `Origin` with each POST.
pub(super) fn is_own(head: &Parts, origin: &Origin) -> bool {
    if let Some(site) = one(&head.headers, "sec-fetch-site") {
        return site == Some("same-origin");
    }
    match one(&head.headers, ORIGIN.as_str()) {
        Some(sender) => sender
            .and_then(|sender| Url::parse(sender).ok())
            .is_some_and(|sender| sender.origin() == *origin && sender.origin().is_tuple()),
        None => head.extensions.get::<AuthenticatedByHeader>().is_some(),
    }
}

/// The header's value, if it is there; within, nothing if it is there twice or is no text.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let is_only = values.next().is_none();
    Some(first.to_str().ok().filter(|_| is_only))
}
