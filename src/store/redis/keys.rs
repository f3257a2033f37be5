use std::fmt::Write as _;

use url::form_urlencoded::byte_serialize;

use super::failure::NAME;
use crate::store::{Nonce, StoreError};

const DEFAULT: &str = "notion-auth:";
const LONGEST: usize = 64;

/// Names of the store's keys.
///
/// All keys of a namespace have the same [`Tag`]. Prefixes contain no braces, so that the tag is the first
/// text in braces, which alone determines the hash slot.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) prefix: String,
}

/// The namespace in braces, which is Redis's *hash tag*.
///
/// The namespace is encoded, so that it contains no braces. It is never empty, because Redis ignores an
/// empty tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag(String);

impl Tag {
    pub(super) fn of(namespace: &str) -> Self {
        match namespace {
            // This is not the encoding of any namespace.
            "" => Self("{%}".to_owned()),
            _ => Self(format!(
                "{{{}}}",
                byte_serialize(namespace.as_bytes()).collect::<String>()
            )),
        }
    }
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
                    "a key prefix must have 1 to {LONGEST} ASCII letters, digits and \"-_.:/\", such as \
                     {DEFAULT:?}"
                ),
            ));
        }
        Ok(Self { prefix })
    }

    /// Returns the key of a record, which is a hash.
    pub(super) fn record(&self, Tag(tag): &Tag, subject: &str) -> String {
        format!("{}record:{tag}:{subject}", self.prefix)
    }

    /// Returns the key of the index: a sorted set of the subjects with a record. All scores are 0, so it is
    /// in byte order.
    pub(super) fn index(&self, Tag(tag): &Tag) -> String {
        format!("{}{tag}", self.index_prefix())
    }

    /// Returns the key of a nonce, which is a string with an expiry.
    pub(super) fn nonce(&self, nonce: &Nonce) -> String {
        let Tag(tag) = Tag::of(nonce.namespace());
        let mut key = format!("{}nonce:{tag}:", self.prefix);
        for byte in nonce.digest() {
            // Writing to a `String` cannot fail.
            let _ = write!(key, "{byte:02x}");
        }
        key
    }

    /// Returns the `SCAN` pattern of all indexes. Prefixes contain no special characters.
    pub(super) fn indexes(&self) -> String {
        format!("{}{{*}}", self.index_prefix())
    }

    /// Returns the namespace of the index with this key.
    pub(super) fn tag_of_index(&self, key: &str) -> Option<Tag> {
        let tag = key.strip_prefix(&self.index_prefix())?;
        Some(Tag(tag.to_owned()))
    }

    fn index_prefix(&self) -> String {
        format!("{}index:", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_namespace_have_one_hash_tag_that_no_other_has() {
        let keys = Keys::default();
        for (namespace, tag) in [
            ("app", "{app}"),
            ("", "{%}"),
            ("%", "{%25}"),
            ("{a}", "{%7Ba%7D}"),
            ("}", "{%7D}"),
            ("a:b/c", "{a%3Ab%2Fc}"),
            ("a b", "{a+b}"),
            ("a+b", "{a%2Bb}"),
            ("é\0", "{%C3%A9%00}"),
        ] {
            let of = Tag::of(namespace);
            assert_eq!(of, Tag(tag.to_owned()));
            let index = keys.index(&of);
            let nonce = keys.nonce(&Nonce::new(namespace, [0xab; 32]));
            assert_eq!(index, format!("notion-auth:index:{tag}"));
            assert_eq!(
                keys.record(&of, "{x} é"),
                format!("notion-auth:record:{tag}:{{x}} é")
            );
            assert_eq!(
                nonce,
                format!("notion-auth:nonce:{tag}:{}", "ab".repeat(32))
            );
            assert_eq!(keys.tag_of_index(&index), Some(of));
        }
    }

    #[test]
    fn prefixes_with_braces_patterns_blanks_or_nothing_are_refused() {
        for prefix in [
            "",
            "{app}:",
            "app*",
            "my app",
            "app\n",
            "äpp:",
            &"a".repeat(65),
        ] {
            assert!(Keys::new(prefix.to_owned()).is_err(), "{prefix:?}");
        }
        let keys = Keys::new("my-app/1:".to_owned()).expect("it is plain");
        assert_eq!(keys.indexes(), "my-app/1:index:{*}");
    }
}
