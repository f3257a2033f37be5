use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use crate::header::NOTION_VERSION;

/// Sets the two headers. What the caller sent as `Authorization` is replaced; its `Notion-Version`
/// stays unless it is to be overridden.
#[inline(never)]
pub(super) fn inject(
    headers: &mut HeaderMap,
    authorization: HeaderValue,
    version: &HeaderValue,
    overrides_version: bool,
) {
    headers.insert(&AUTHORIZATION, authorization);
    if overrides_version || !has_version(headers) {
        headers.insert(NOTION_VERSION, version.clone());
    }
}

/// Replaces the `Authorization` that was injected before, which is the only one. `insert` would first
/// make room for one more.
pub(crate) fn replace(headers: &mut HeaderMap, authorization: HeaderValue) {
    if let Some(value) = headers.get_mut(AUTHORIZATION) {
        *value = authorization;
    } else {
        headers.insert(AUTHORIZATION, authorization);
    }
}

/// Few names are compared faster than one is hashed.
#[inline]
fn has_version(headers: &HeaderMap) -> bool {
    if headers.len() <= 16 {
        headers.keys().any(|name| *name == NOTION_VERSION)
    } else {
        headers.contains_key(NOTION_VERSION)
    }
}
