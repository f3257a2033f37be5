use std::fmt::Write as _;

use super::store::NAME;
use crate::store::{OnceKey, RecordKey, StoreError};

const DEFAULT: &str = "notion-auth:";
const LONGEST: usize = 64;

/// The names of the keys. Namespaces and subjects are percent-encoded, so that no two of them make one
/// key, and that nothing in them is a brace: what is in braces alone decides the slot in a cluster.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) prefix: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            prefix: DEFAULT.to_owned(),
        }
    }
}

impl Keys {
    pub(super) fn new(prefix: String) -> Result<Self, StoreError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
        if prefix.is_empty() || prefix.len() > LONGEST || !prefix.bytes().all(is_plain) {
            return Err(StoreError::misconfigured(
                NAME,
                format!(
                    "a prefix of keys is made of 1 to {LONGEST} ASCII letters, digits and \"-_.:/\", as \
                     {DEFAULT:?} is"
                ),
            ));
        }
        Ok(Self { prefix })
    }

    /// A hash.
    pub(super) fn record(&self, namespace: &str, subject: &str) -> String {
        let (namespace, subject) = (encoded(namespace), encoded(subject));
        format!("{}record:{{{namespace}/{subject}}}", self.prefix)
    }

    pub(super) fn record_of(&self, key: &RecordKey) -> String {
        self.record(key.namespace(), key.subject().as_str())
    }

    /// A string that expires.
    pub(super) fn mark(&self, key: &OnceKey) -> String {
        let mut digest = String::new();
        for byte in key.digest() {
            // Writing to a `String` cannot fail.
            let _ = write!(digest, "{byte:02x}");
        }
        let namespace = encoded(key.namespace());
        format!("{}mark:{{{namespace}/{digest}}}", self.prefix)
    }

    /// A sorted set of what there is in the namespace, for who wants to list it.
    pub(super) fn index(&self, namespace: &str) -> String {
        format!("{}index:{{{}}}", self.prefix, encoded(namespace))
    }

    /// A set of namespaces, for who wants to sweep them all.
    pub(super) fn namespaces(&self) -> String {
        format!("{}namespaces", self.prefix)
    }
}

fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:,@+=".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Subject;

    #[test]
    fn keys_are_readable_and_their_braces_are_their_own() {
        let keys = Keys::default();
        for (namespace, subject, key) in [
            ("app", "ann@acme", "notion-auth:record:{app/ann@acme}"),
            (
                "app",
                "4:acme,3:ann,",
                "notion-auth:record:{app/4:acme,3:ann,}",
            ),
            ("", "", "notion-auth:record:{/}"),
            ("a/b", "c", "notion-auth:record:{a%2Fb/c}"),
            ("a", "b/c", "notion-auth:record:{a/b%2Fc}"),
            ("{a}", "é %", "notion-auth:record:{%7Ba%7D/%C3%A9%20%25}"),
        ] {
            let made = keys.record_of(&RecordKey::new(namespace, Subject::new(subject)));
            assert_eq!(made, key);
        }
    }

    #[test]
    fn prefixes_with_braces_blanks_or_nothing_are_refused() {
        for prefix in ["", "{app}:", "my app", "app\n", "äpp:", &"a".repeat(65)] {
            assert!(Keys::new(prefix.to_owned()).is_err(), "{prefix:?}");
        }
        let keys = Keys::new("my-app/1:".to_owned()).expect("it is plain");
        assert_eq!(keys.index("a b"), "my-app/1:index:{a%20b}");
        assert_eq!(keys.namespaces(), "my-app/1:namespaces");
    }
}
