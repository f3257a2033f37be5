//! Return targets: where a browser is sent after a flow or a disconnect.

use std::collections::BTreeMap;

use url::Url;

use crate::credentials::is_https_or_loopback;

/// The longest target, in bytes.
const LONGEST: usize = 512;

/// The targets that the application has configured.
#[derive(Debug, Clone)]
pub(super) struct ReturnTargets {
    named: BTreeMap<String, Target>,
    /// The target of a request without `return_to`.
    default: Target,
}

/// A place that a browser may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target(String);

impl ReturnTargets {
    pub(super) fn new() -> Self {
        Self {
            named: BTreeMap::new(),
            default: Target("/".to_owned()),
        }
    }

    pub(super) fn insert(&mut self, name: String, target: Target) {
        self.named.insert(name, target);
    }

    pub(super) fn set_default(&mut self, target: Target) {
        self.default = target;
    }

    /// Returns the target that a request asks for by a name or a local path; `None` if it is not allowed.
    pub(super) fn find(&self, asked: Option<&str>) -> Option<Target> {
        match asked {
            None => Some(self.default.clone()),
            Some(asked) => self
                .named
                .get(asked)
                .cloned()
                .or_else(|| Target::local(asked)),
        }
    }

    pub(super) fn default(&self) -> &Target {
        &self.default
    }
}

impl Target {
    /// Returns the target of a request: a path of this site.
    ///
    /// The rules are stricter than those of URLs, so that a browser reads the same in it as this function.
    pub(super) fn local(text: &str) -> Option<Self> {
        let is_local = text.len() <= LONGEST
            && text.starts_with('/')
            && text.bytes().all(is_plain)
            && has_plain_escapes(text)
            && has_plain_segments(text);
        is_local.then(|| Self(text.to_owned()))
    }

    /// Returns a target that the application configures: a path of this site, or a whole URL.
    pub(super) fn configured(text: &str) -> Option<Self> {
        Self::local(text).or_else(|| {
            let url = Url::parse(text).ok()?;
            let is_plain = is_https_or_loopback(&url)
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
                && url.as_str().len() <= LONGEST;
            is_plain.then(|| Self(url.into()))
        })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the target with the outcome of the flow at the end of its query: `notion=RESULT`.
    pub(super) fn with_result(&self, result: &str) -> String {
        let (path, query) = self.0.split_once('?').unwrap_or((&self.0, ""));
        // An earlier flow's result is removed: it is there if a page has passed on its own address.
        let mut query: Vec<&str> = query
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.starts_with("notion="))
            .collect();
        let result = format!("notion={result}");
        query.push(&result);
        format!("{path}?{}", query.join("&"))
    }
}

/// Whether the byte can be in a path or a query (RFC 3986 sections 3.3 and 3.4).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

/// Whether each `%` begins an escape, and none stands for a slash, a backslash or a control character.
fn has_plain_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let byte = rest
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let is_hexadecimal = rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit());
        is_hexadecimal
            && byte.is_some_and(|byte| !byte.is_ascii_control() && byte != b'/' && byte != b'\\')
    })
}

/// Whether no segment is empty, except the last one, and none is `.` or `..`.
fn has_plain_segments(text: &str) -> bool {
    let path = text.split('?').next().unwrap_or_default();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let dots = segment.replace("%2e", ".").replace("%2E", ".");
        if (segment.is_empty() && !is_last) || dots == "." || dots == ".." {
            return false;
        }
    }
    true
}
