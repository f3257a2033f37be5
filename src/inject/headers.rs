use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, HOST},
};

use crate::header::NOTION_VERSION;

/// Which of the headers that matter beside `Authorization` a request has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present {
    pub(super) host: bool,
    pub(super) version: bool,
}

impl Present {
    /// One scan for both: comparing a few names takes less than hashing one. A client's requests have no
    /// `Host` yet, so the scan that finds one may take longer.
    #[inline]
    pub(super) fn among(headers: &HeaderMap) -> Self {
        if headers.len() > 16 {
            return Self::hashed(headers);
        }
        let mut version = false;
        for name in headers.keys() {
            if *name == HOST {
                return Self::hashed(headers);
            }
            if *name == NOTION_VERSION {
                version = true;
            }
        }
        Self {
            host: false,
            version,
        }
    }

    #[cold]
    fn hashed(headers: &HeaderMap) -> Self {
        Self {
            host: headers.contains_key(HOST),
            version: headers.contains_key(NOTION_VERSION),
        }
    }
}

/// Sets `Authorization`, and `Notion-Version` if there is one to set. Values that the caller sent are
/// replaced.
#[inline(never)]
pub(super) fn inject(
    headers: &mut HeaderMap,
    authorization: HeaderValue,
    version: Option<&HeaderValue>,
) {
    headers.insert(&AUTHORIZATION, authorization);
    if let Some(version) = version {
        headers.insert(NOTION_VERSION, version.clone());
    }
}
