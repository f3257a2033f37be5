use bytes::Bytes;
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version,
    uri::{Authority, PathAndQuery, Scheme},
};

use crate::subject::Subject;

/// Copy of a request, taken before credentials are set, from which the request can be made once more.
///
/// The head is copied as bytes into one buffer, because the first clone of each header value and URI part of a fresh
/// request allocates. The buffer is parsed only for a replay.
pub(super) struct RequestCopy<B> {
    method: Method,
    version: Version,
    scheme: Option<Scheme>,
    authority_length: Option<usize>,
    path_length: Option<usize>,
    /// Authority, path and query; then for each header the lengths of name and value, the sensitive bit, name and value.
    head: Vec<u8>,
    extensions: ExtensionsCopy,
    body: B,
}

enum ExtensionsCopy {
    /// The request has no other extension.
    Subject(Subject),
    All(Extensions),
}

/// Space that is reserved for a header, in bytes. Measuring each one first would cost more than a rare second allocation.
const TYPICAL_HEADER: usize = 72;

/// Names have at most this many bits of length: `http` limits them to 64 KiB.
const NAME_BITS: u32 = 16;

/// The value's length, the name's length and the sensitive bit in one number.
fn lengths(name: &[u8], value: &HeaderValue) -> u64 {
    let (name, value_length) = (name.len() as u64, value.len() as u64);
    (value_length << NAME_BITS | name) << 1 | u64::from(value.is_sensitive())
}

impl<B> RequestCopy<B> {
    /// `body` is the copy of the request's body.
    pub(super) fn of<T>(request: &Request<T>, body: B) -> Self {
        let uri = request.uri();
        let authority = uri.authority().map(Authority::as_str);
        let path = uri.path_and_query().map(PathAndQuery::as_str);
        let headers = request.headers();
        let (authority_length, path_length) = (authority.map(str::len), path.map(str::len));
        let length = authority_length.unwrap_or_default()
            + path_length.unwrap_or_default()
            + headers.len() * TYPICAL_HEADER;
        let mut head = Vec::with_capacity(length);
        head.extend_from_slice(authority.unwrap_or_default().as_bytes());
        head.extend_from_slice(path.unwrap_or_default().as_bytes());
        for (name, value) in headers {
            let name = name.as_str().as_bytes();
            head.extend_from_slice(&lengths(name, value).to_le_bytes());
            head.extend_from_slice(name);
            head.extend_from_slice(value.as_bytes());
        }
        let extensions = request.extensions();
        Self {
            method: request.method().clone(),
            version: request.version(),
            scheme: uri.scheme().cloned(),
            authority_length,
            path_length,
            head,
            extensions: match extensions.get::<Subject>() {
                Some(subject) if extensions.len() == 1 => ExtensionsCopy::Subject(subject.clone()),
                _ => ExtensionsCopy::All(extensions.clone()),
            },
            body,
        }
    }

    pub(super) fn subject(&self) -> Option<&Subject> {
        match &self.extensions {
            ExtensionsCopy::Subject(subject) => Some(subject),
            ExtensionsCopy::All(extensions) => extensions.get(),
        }
    }

    /// Returns the request, or `None` if `http` does not parse a part that the request had (one made by its
    /// unchecked functions).
    pub(super) fn into_request(self) -> Option<Request<B>> {
        let mut head = Bytes::from(self.head);
        let mut uri = http::uri::Parts::default();
        uri.scheme = self.scheme;
        if let Some(length) = self.authority_length {
            uri.authority = Some(Authority::from_maybe_shared(take(&mut head, length)?).ok()?);
        }
        if let Some(length) = self.path_length {
            uri.path_and_query =
                Some(PathAndQuery::from_maybe_shared(take(&mut head, length)?).ok()?);
        }
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = Uri::from_parts(uri).ok()?;
        *request.version_mut() = self.version;
        *request.headers_mut() = parse_headers(head)?;
        *request.extensions_mut() = match self.extensions {
            ExtensionsCopy::All(extensions) => extensions,
            ExtensionsCopy::Subject(subject) => {
                let mut extensions = Extensions::new();
                extensions.insert(subject);
                extensions
            }
        };
        Some(request)
    }
}

fn parse_headers(mut head: Bytes) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    while !head.is_empty() {
        let lengths = take(&mut head, size_of::<u64>())?;
        let lengths = u64::from_le_bytes(lengths.as_ref().try_into().ok()?);
        let name_length = lengths >> 1 & ((1 << NAME_BITS) - 1);
        let name = take(&mut head, usize::try_from(name_length).ok()?)?;
        let value = take(&mut head, usize::try_from(lengths >> 1 >> NAME_BITS).ok()?)?;
        let mut value = HeaderValue::from_maybe_shared(value).ok()?;
        value.set_sensitive(lengths & 1 == 1);
        headers.append(HeaderName::from_lowercase(&name).ok()?, value);
    }
    Some(headers)
}

/// Splits off the first bytes, if there are as many.
fn take(head: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= head.len()).then(|| head.split_to(length))
}
