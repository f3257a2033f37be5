//! Request headers of the OAuth endpoints and the API.

use http::{
    HeaderMap,
    header::{AUTHORIZATION, CONTENT_TYPE},
};

use super::respond::Refusal;

/// The versions that Notion's API accepts.
const VERSIONS: [&str; 7] = [
    "2021-05-11",
    "2021-05-13",
    "2021-08-16",
    "2022-02-22",
    "2022-06-28",
    "2025-09-03",
    "2026-03-11",
];

pub(super) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    authorization(headers, "bearer")
}

/// Returns the credentials after the scheme in the only `Authorization` header. Returns `None` if there are
/// two.
pub(super) fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (sent, rest) = value.to_str().ok()?.split_once(' ')?;
    sent.eq_ignore_ascii_case(scheme).then_some(rest)
}

pub(super) fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all("notion-version").iter();
    let Some(version) = values.next() else {
        let message =
            "Notion-Version header failed validation: Notion-Version header should be defined.";
        return Err(Refusal::new(400, "missing_version", message));
    };
    if values.next().is_some() || !VERSIONS.iter().any(|known| version == known) {
        let message = "Notion-Version header failed validation: it should be a supported version.";
        return Err(Refusal::validation(message));
    }
    Ok(())
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
