//! Names of headers that `http` does not know.

use http::HeaderName;

/// `Notion-Version`: which version of Notion's API a request is written for.
pub const NOTION_VERSION: HeaderName = HeaderName::from_static("notion-version");

/// The header by which Notion's answers are identified.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-notion-request-id");
