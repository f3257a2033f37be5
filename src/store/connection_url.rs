//! Validates connection URLs before a library parses them.
//!
//! For an unknown parameter, sqlx logs its value and ignores it, and redis ignores it. A misspelt TLS
//! parameter would weaken the connection, and a misplaced password would be logged. Unknown parameters are
//! therefore errors, which never show a value. They show a name only if it cannot be a part of a password.

use std::{fmt, net::IpAddr};

use url::Url;

use crate::store::StoreError;

/// The URLs that a store accepts.
pub(super) struct Grammar {
    pub(super) store: &'static str,
    /// An example of the whole URL.
    pub(super) form: &'static str,
    pub(super) parameters: &'static [Parameter],
}

/// A parameter of the query.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// Other names. `name[]` stands for `name[key]` with any key.
    pub(super) aliases: &'static [&'static str],
    /// The part of the URL that has the same meaning.
    pub(super) part: Option<Part>,
    pub(super) is_repeatable: bool,
    pub(super) is_valid: fn(&str) -> bool,
    /// Describes the valid values, after "must be".
    pub(super) valid: &'static str,
}

impl Parameter {
    /// The valid values of most parameters: any text.
    pub(super) const TEXT: Self = Self {
        name: "",
        aliases: &[],
        part: None,
        is_repeatable: false,
        is_valid: |_| true,
        valid: "a text",
    };
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "postgres"),
    expect(
        dead_code,
        reason = "Redis has parameters only for what is no part of its URL"
    )
)]
pub(super) enum Part {
    Host,
    Port,
    User,
    Password,
    Path,
}

/// A URL with valid, known parameters, each of which is set once.
pub(super) struct ConnectionUrl {
    /// Without the query.
    url: Url,
    parameters: Vec<Pair>,
}

struct Pair {
    parameter: &'static Parameter,
    written_name: String,
    value: String,
}

impl ConnectionUrl {
    /// Returns the value of the parameter with this name or one of its aliases.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.parameters.iter();
        let pair = pairs.find(|pair| pair.parameter.name == name)?;
        Some(&pair.value)
    }

    /// Removes the parameter from the URL that the library gets.
    pub(super) fn remove(&mut self, name: &str) {
        self.parameters.retain(|pair| pair.parameter.name != name);
    }

    pub(super) fn into_url(self) -> Url {
        let mut url = self.url;
        if !self.parameters.is_empty() {
            let pairs = self.parameters.iter();
            let pairs = pairs.map(|pair| (&pair.written_name, &pair.value));
            url.query_pairs_mut().extend_pairs(pairs);
        }
        url
    }
}

impl Grammar {
    pub(super) fn parse(&self, text: &str) -> Result<ConnectionUrl, StoreError> {
        // The parser's errors are constant texts, so they contain no secrets.
        let mut url = Url::parse(text).map_err(|error| self.invalid(error))?;
        if !url.has_authority() {
            return Err(self.invalid("`//` is missing"));
        }
        // An unencoded `#`, `/` or `?` in a password ends the authority. The `@` after the password is then
        // in a later part of the URL.
        if url.fragment().is_some() {
            return Err(self.invalid("it has a fragment, which begins with `#`"));
        }
        if url.path().contains('@') {
            return Err(self.invalid("`@` is in its path"));
        }
        let parameters = self.parameters(&url)?;
        url.set_query(None);
        Ok(ConnectionUrl { url, parameters })
    }

    fn parameters(&self, url: &Url) -> Result<Vec<Pair>, StoreError> {
        // After an unencoded `?` in a password, the `@` before the host is in the query.
        let mut may_show_names = !url.query().is_some_and(|query| query.contains('@'));
        let mut pairs: Vec<Pair> = Vec::new();
        for (position, (name, value)) in (1..).zip(url.query_pairs()) {
            let Some(parameter) = self.find(&name) else {
                // A name without a value may be the value of a parameter whose name is missing.
                let may_show = may_show_names && !value.is_empty() && is_word(&name);
                return Err(self.unknown(may_show.then_some(&name), position));
            };
            let Parameter { name: known, .. } = parameter;
            if !(parameter.is_valid)(&value) {
                let valid = parameter.valid;
                return Err(self.error(format!("`{known}` in the URL must be {valid}")));
            }
            let is_same = |pair: &Pair| {
                let other = pair.parameter;
                let is_same_part = other.part.is_some() && other.part == parameter.part;
                other.name == *known && !parameter.is_repeatable || is_same_part
            };
            let is_part = parameter.part.is_some_and(|part| part.is_set(url, &value));
            if is_part || pairs.iter().any(is_same) {
                return Err(self.error(format!(
                    "`{known}` in the URL is set twice, by parameters or by a part before them: remove one of the two"
                )));
            }
            // After an unencoded `&` in a password, the rest of it looks like the next parameter.
            may_show_names &= parameter.part != Some(Part::Password);
            pairs.push(Pair {
                parameter,
                written_name: name.into_owned(),
                value: value.into_owned(),
            });
        }
        Ok(pairs)
    }

    fn find(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|parameter| {
            let mut aliases = parameter.aliases.iter();
            parameter.name == name || aliases.any(|alias| is_named(alias, name))
        })
    }

    fn unknown(&self, name: Option<&str>, position: usize) -> StoreError {
        let known: Vec<&str> = self.parameters.iter().map(|it| it.name).collect();
        let list = known.join(", ");
        self.error(match name {
            Some(name) => match known.iter().find(|known| is_similar(known, name)) {
                Some(similar) => format!(
                    "the URL has an unknown parameter `{name}`: did you mean `{similar}`? Known are {list}"
                ),
                None => format!(
                    "the URL has an unknown parameter `{name}`: remove it. Known are {list}"
                ),
            },
            None => format!(
                "parameter {position} of the URL is unknown, and not shown because it may be a part of a \
                 password: {ENCODE}. Known are {list}"
            ),
        })
    }

    /// Returns an error that shows the expected form.
    pub(super) fn invalid(&self, why: impl fmt::Display) -> StoreError {
        let form = self.form;
        self.error(format!(
            "the URL is not valid ({why}): write {form}, and {ENCODE}"
        ))
    }

    pub(super) fn error(&self, message: impl Into<String>) -> StoreError {
        StoreError::misconfigured(self.store, message)
    }
}

const ENCODE: &str =
    "percent-encode `%`, `@`, `:`, `/`, `?`, `#` and `&` in user name and password (`@` is %40)";

impl Part {
    /// Returns whether the URL has this part, in addition to the parameter with this value.
    fn is_set(self, url: &Url, value: &str) -> bool {
        match self {
            // The URL of a socket needs a placeholder host if it has a user.
            Self::Host => url.has_host() && !value.starts_with('/'),
            Self::Port => url.port().is_some(),
            Self::User => !url.username().is_empty(),
            Self::Password => url.password().is_some(),
            Self::Path => !url.path().trim_matches('/').is_empty(),
        }
    }
}

fn is_named(alias: &str, name: &str) -> bool {
    let Some(prefix) = alias.strip_suffix("[]") else {
        return alias == name;
    };
    let key = name
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('['));
    let key = key.and_then(|key| key.strip_suffix(']'));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
    key.is_some_and(|key| !key.is_empty() && key.bytes().all(is_plain))
}

/// Returns whether the text looks like the name of a parameter. Most passwords do not.
fn is_word(name: &str) -> bool {
    let is_of_word = |byte: u8| byte.is_ascii_alphabetic() || b"_-".contains(&byte);
    (1..=40).contains(&name.len()) && name.bytes().all(is_of_word)
}

/// Returns whether the name equals the known one except for case, separators or a typing error.
fn is_similar(known: &str, name: &str) -> bool {
    let normalized = |text: &str| -> Vec<u8> {
        let bytes = text.bytes().filter(|byte| !b"_-.".contains(byte));
        bytes.map(|byte| byte.to_ascii_lowercase()).collect()
    };
    let (known, name) = (normalized(known), normalized(name));
    distance(&known, &name) <= known.len() / 4
}

/// Computes the Levenshtein distance.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, byte) in one.iter().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for column in 0..other.len() {
            let changed = diagonal + usize::from(*byte != other[column]);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// Returns whether a connection to this host stays on this machine. Only addresses and `localhost` count,
/// because other names are known only after resolution.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAMMAR: Grammar = Grammar {
        store: "test",
        form: "test://host",
        parameters: &[
            Parameter {
                name: "sslmode",
                aliases: &["ssl-mode"],
                is_valid: |value| value == "on",
                valid: "`on`",
                ..Parameter::TEXT
            },
            Parameter {
                name: "host",
                part: Some(Part::Host),
                ..Parameter::TEXT
            },
            Parameter {
                name: "password",
                part: Some(Part::Password),
                ..Parameter::TEXT
            },
            Parameter {
                name: "options",
                aliases: &["options[]"],
                is_repeatable: true,
                ..Parameter::TEXT
            },
        ],
    };

    #[test]
    fn valid_urls_reach_the_library_unchanged() {
        for text in [
            "test://h",
            "test:///path",
            "test://u:p@h:1/path?sslmode=on",
            "test://h?ssl-mode=on&password=a%26b",
            "test://h?options=1&options=2&options%5Ba.b%5D=3",
            "test://u%40v:p%zz@h",
            "test://u@h?host=%2Fsocket",
        ] {
            let url = GRAMMAR.parse(text).expect(text).into_url();
            assert_eq!(url.as_str(), text);
        }
    }

    #[test]
    fn parameters_are_found_by_their_name_and_removed() {
        let mut url = GRAMMAR
            .parse("test://h?ssl-mode=on&host=/s")
            .expect("it is valid");
        assert_eq!(url.parameter("sslmode"), Some("on"));
        url.remove("sslmode");
        assert_eq!(url.parameter("sslmode"), None);
        assert_eq!(url.into_url().as_str(), "test://h?host=%2Fs");
    }

    /// `hunter` is a password, or a part of one.
    #[test]
    fn invalid_urls_are_refused_without_values() {
        const HIDDEN: &str = "parameter 1 of the URL is unknown";
        const SECOND_HIDDEN: &str = "parameter 2 of the URL is unknown";
        const REPEATS: &str = "in the URL is set twice";
        let long = format!("test://h?{}=hunter", "x".repeat(41));
        for (text, words) in [
            // The name is shown in these errors.
            (
                "test://h?sslMode=hunter",
                "`sslMode`: did you mean `sslmode`?",
            ),
            (
                "test://h?ssl_mode=hunter",
                "`ssl_mode`: did you mean `sslmode`?",
            ),
            (
                "test://h?sslmod=hunter",
                "`sslmod`: did you mean `sslmode`?",
            ),
            (
                "test://h?Host=hunter&sslmode=on",
                "`Host`: did you mean `host`?",
            ),
            (
                "test://h?foo=hunter",
                "unknown parameter `foo`: remove it. Known are sslmode, ",
            ),
            (
                "test://u:hunter@h?sslpassword=hunter",
                "unknown parameter `sslpassword`",
            ),
            (
                "test://h?sslmode=hunter",
                "`sslmode` in the URL must be `on`",
            ),
            (
                "test://h?ssl-mode=hunter",
                "`sslmode` in the URL must be `on`",
            ),
            ("test://h?sslmode=on&ssl-mode=on", REPEATS),
            ("test://h?host=hunter", REPEATS),
            ("test://u:p@h?password=hunter", REPEATS),
            // The name may be a part of a password.
            ("test://h?hunter", HIDDEN),
            ("test://h?hunter=", HIDDEN),
            ("test://h?hunter2=x", HIDDEN),
            ("test://h?hunter%3D=x", HIDDEN),
            ("test://h?options[=hunter", HIDDEN),
            ("test://h?sslmode=on&hunter", SECOND_HIDDEN),
            ("test://h?password=hunter&hunter=x", SECOND_HIDDEN),
            ("test://u:12?hunter@h", HIDDEN),
            ("test://u:12?hunter=x@h", HIDDEN),
            ("test://u:12?hunter=x&y@h/path", HIDDEN),
            (&long, HIDDEN),
            ("test://u:12/hunter@h", "`@` is in its path"),
            ("test://u:12#hunter@h", "it has a fragment"),
            ("test://h#hunter", "it has a fragment"),
            ("test://u:hunter/x@h", "invalid port number"),
            ("test://u:hunter?x@h", "invalid port number"),
            ("test://u:hunter#x@h", "invalid port number"),
            ("test://u:hunter@h:1:2", "invalid port number"),
            ("test://u:hunter@", "empty host"),
            ("test:/u:hunter@h", "`//` is missing"),
            ("test:hunter", "`//` is missing"),
            ("hunter", "relative URL without a base"),
            ("", "relative URL without a base"),
        ] {
            let error = GRAMMAR.parse(text).err().expect(text);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(words), "{text}: {shown}");
            let shown = shown.replace(ENCODE, "");
            for part in ["hunter", "u:", "12"] {
                assert!(!shown.contains(part), "{text}: {shown}");
            }
            assert!(std::error::Error::source(&error).is_none(), "{text}");
        }
    }

    #[test]
    fn only_addresses_and_localhost_are_loopback() {
        for host in [
            "localhost",
            "LocalHost",
            "127.0.0.1",
            "127.1.2.3",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "db",
            "10.0.0.1",
            "0.0.0.0",
            "::",
            "localhost.",
            "a.localhost",
            "127.1",
            "localhost,db",
            "%6cocalhost",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
