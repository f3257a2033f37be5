//! Validation of the fields of the app's credentials.

use url::Url;

use super::{AccessToken, is_https_or_loopback};

/// Returns whether the URL is https, or http on this machine, and has no user name, password or fragment.
pub(super) fn is_fit_for_secrets(url: &Url) -> bool {
    is_https_or_loopback(url) && is_plain(url)
}

fn is_plain(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

pub(super) fn client_id(text: &str) -> Result<(), &'static str> {
    // HTTP Basic ends the user name at the first colon (RFC 7617 section 2).
    if !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':')
    {
        Ok(())
    } else {
        Err("expected the OAuth client's id: visible ASCII characters without a colon")
    }
}

pub(super) fn client_secret(text: &str) -> Result<(), &'static str> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err("expected the OAuth client's secret: visible ASCII characters")
    }
}

pub(super) fn redirect_uri(text: &str) -> Result<(), &'static str> {
    match Url::parse(text) {
        // The URL parser ignores tabs and line breaks anywhere in the text.
        Ok(url)
            if is_https_or_loopback(&url)
                && is_plain(&url)
                && !text.contains(|c: char| c.is_whitespace() || c.is_control()) =>
        {
            Ok(())
        }
        _ => Err(
            "expected the absolute https URL that is registered with Notion (or http on this \
             machine, for development), without fragment",
        ),
    }
}

pub(super) fn token(text: &str) -> Result<(), &'static str> {
    AccessToken::new(text).check().map_err(
        |_| "expected the integration's token alone, such as ntn_…: visible ASCII characters",
    )
}

pub(super) fn version(text: &str) -> Result<(), &'static str> {
    let form = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if form {
        Ok(())
    } else {
        Err("expected a date as YYYY-MM-DD, such as 2026-03-11")
    }
}

/// Returns whether the text is a scope token (RFC 6749 section 3.3).
pub(super) fn is_scope_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}
