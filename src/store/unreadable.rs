#[cfg(feature = "encryption")]
use super::sealing_key::KeyId;

/// Why a payload cannot be read, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnreadablePayload {
    #[error(
        "the record was written by a newer version of this crate, or by something else: run that \
         version"
    )]
    Format,
    #[error("the record is damaged: restore it from a backup, or let the user connect again")]
    Damaged,
    #[cfg(feature = "encryption")]
    #[error("no key of the keyring opens it: sealed by key {0}; add that key to NOTION_AUTH_KEYS")]
    NoKey(KeyId),
    #[cfg(feature = "encryption")]
    #[error(
        "the record is not what was sealed for this subject: it was altered, or copied from another \
         subject, namespace or generation. Restore it from a backup, or let the user connect again"
    )]
    NotAuthentic,
    #[cfg(feature = "encryption")]
    #[error(
        "the record is in clear though the provider has keys: whoever can write to the store may \
         have put it there. If it is older than the keys, say `plaintext_at_rest()` to the builder \
         until `rotate` has sealed all records"
    )]
    InClear,
    #[cfg_attr(
        feature = "encryption",
        error(
            "the record is sealed, and the provider has no keys: give its builder \
             `keys(Keyring::from_env()?)`"
        )
    )]
    #[cfg_attr(
        not(feature = "encryption"),
        error(
            "the record is sealed, and this program is built without the feature `encryption` of \
             notion-auth: enable it, and give the provider's builder `keys(Keyring::from_env()?)`"
        )
    )]
    Sealed,
}

/// A record that cannot be read, and the store that it is in.
#[derive(Debug, thiserror::Error)]
#[error("{store} store: {why}")]
pub(crate) struct UnreadableRecord {
    pub(crate) store: &'static str,
    pub(crate) why: UnreadablePayload,
}
