use bytes::Bytes;
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version,
    uri::PathAndQuery,
};

use super::destination::Destination;
use crate::subject::Subject;

/// Copy of a request, taken before credentials are set, from which the request can be made once more.
///
/// The head is copied as bytes into one buffer, because the first clone of each header value and URI part of a fresh
/// request allocates. The buffer is parsed only for a replay.
pub(super) struct RequestCopy<B> {
    method: Method,
    version: Version,
    /// Lengths of the first parts of `head`.
    subject: usize,
    path: usize,
    /// The subject's text, path and query; then for each header the lengths of name and value, the sensitive bit, name
    /// and value.
    head: Vec<u8>,
    /// `None` for a plain request.
    other: Option<Box<Other>>,
    body: B,
}

/// What a plain request does not have.
struct Other {
    /// The whole URI, if its origin is not the usual one.
    uri: Option<Uri>,
    extensions: Extensions,
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
    /// Copies a request that is [usual](Destination::is_usual) and has no extension but this subject. The subject's text is
    /// copied, because a counted reference would cost each request more.
    ///
    /// `body` is the copy of the request's body.
    #[inline]
    pub(super) fn of_plain<T>(request: &Request<T>, subject: &Subject, body: B) -> Self {
        Self::new(request, subject.as_str(), None, body)
    }

    /// Copies any request.
    pub(super) fn of<T>(request: &Request<T>, destination: &Destination, body: B) -> Self {
        let uri = request.uri();
        let other = Other {
            uri: (!destination.has_origin_of(uri)).then(|| uri.clone()),
            extensions: request.extensions().clone(),
        };
        Self::new(request, "", Some(Box::new(other)), body)
    }

    #[inline]
    fn new<T>(request: &Request<T>, subject: &str, other: Option<Box<Other>>, body: B) -> Self {
        let path = request.uri().path_and_query();
        let path = path.map_or("", PathAndQuery::as_str);
        let headers = request.headers();
        let length = subject.len() + path.len() + headers.len() * TYPICAL_HEADER;
        let mut head = Vec::with_capacity(length);
        head.extend_from_slice(subject.as_bytes());
        head.extend_from_slice(path.as_bytes());
        for (name, value) in headers {
            let name = name.as_str().as_bytes();
            head.extend_from_slice(&lengths(name, value).to_le_bytes());
            head.extend_from_slice(name);
            head.extend_from_slice(value.as_bytes());
        }
        Self {
            method: request.method().clone(),
            version: request.version(),
            subject: subject.len(),
            path: path.len(),
            head,
            other,
            body,
        }
    }

    /// Returns the request, or `None` if `http` does not parse a part that the request had (one made by its
    /// unchecked functions).
    pub(super) fn into_request(self, destination: &Destination) -> Option<Request<B>> {
        let mut head = Bytes::from(self.head);
        let subject = take(&mut head, self.subject)?;
        let path = take(&mut head, self.path)?;
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.version_mut() = self.version;
        let uri = match self.other {
            Some(other) => {
                *request.extensions_mut() = other.extensions;
                other.uri
            }
            None => {
                let subject = Subject::new(std::str::from_utf8(&subject).ok()?);
                request.extensions_mut().insert(subject);
                None
            }
        };
        *request.uri_mut() = match uri {
            Some(uri) => uri,
            None => destination.with_path(PathAndQuery::from_maybe_shared(path).ok()?)?,
        };
        *request.headers_mut() = parse_headers(head)?;
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
