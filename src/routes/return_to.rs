//! Where a browser is sent when a route is done with it.

use std::collections::BTreeMap;

use url::Url;

use crate::credentials::is_https_or_loopback;

/// The longest target, in bytes.
const LONGEST: usize = 512;

/// The targets that the host has named, and the one for whoever names none.
#[derive(Debug, Clone)]
pub(super) struct ReturnTargets {
    named: BTreeMap<String, Target>,
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

    /// What a request asks for: a name, or a local path; `None` if it may not have that.
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
    /// A path of this site, whoever says so.
    ///
    /// The rules are stricter than what a URL may be: between what this reads and what a browser makes
    /// of it there is to be no difference.
    pub(super) fn local(text: &str) -> Option<Self> {
        let is_local = text.len() <= LONGEST
            && text.starts_with('/')
            && text.bytes().all(is_plain)
            && has_plain_escapes(text)
            && has_plain_segments(text);
        is_local.then(|| Self(text.to_owned()))
    }

    /// What the host names: a path of this site, or a whole URL.
    pub(super) fn of_host(text: &str) -> Option<Self> {
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

    /// The target, told what became of the flow: `notion=RESULT` at the end of its query.
    pub(super) fn with_result(&self, result: &str) -> String {
        let (path, query) = self.0.split_once('?').unwrap_or((&self.0, ""));
        // The result of an earlier flow, where a page gave its own address.
        let mut query: Vec<&str> = query
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.starts_with("notion="))
            .collect();
        let result = format!("notion={result}");
        query.push(&result);
        format!("{path}?{}", query.join("&"))
    }
}

/// The bytes of a path and a query (RFC 3986 section 3.3 and 3.4).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

/// Each `%` begins an escape, and none stands for a slash, a backslash or a control character.
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

/// No segment of the path but the last one is empty, and none goes up.
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
