#[cfg(feature = "encryption")]
use super::sealing_key::SealingKeys;
use super::{
    Payload, RecordKey,
    payload::{self, Form},
    unreadable::UnreadablePayload,
};
use crate::credentials::NotionUserCredentials;

/// Makes credentials the bytes that a store keeps, and reads them back.
pub(crate) enum Sealer {
    /// Without keys.
    InClear,
    #[cfg(feature = "encryption")]
    WithKeys {
        keys: SealingKeys,
        /// Whether what is in clear is read too, as while a store is moved to sealing.
        reads_clear: bool,
    },
}

#[cfg_attr(
    not(feature = "encryption"),
    expect(unused_variables, reason = "in clear, nothing says which record it is")
)]
impl Sealer {
    /// The credentials as this generation of that record, and of no other.
    pub(crate) fn seal(
        &self,
        record: &RecordKey,
        generation: u64,
        credentials: &NotionUserCredentials,
    ) -> Payload {
        match self {
            Self::InClear => Payload::in_clear(credentials),
            #[cfg(feature = "encryption")]
            Self::WithKeys { keys, .. } => keys.seal(record, generation, credentials),
        }
    }

    /// What [`seal`](Self::seal) made for this generation of that record.
    pub(crate) fn open(
        &self,
        record: &RecordKey,
        generation: u64,
        payload: &Payload,
    ) -> Result<NotionUserCredentials, UnreadablePayload> {
        match (self, payload.form()?) {
            (Self::InClear, Form::InClear(json)) => payload::read(json),
            (Self::InClear, Form::Sealed(_)) => Err(UnreadablePayload::Sealed),
            #[cfg(feature = "encryption")]
            (Self::WithKeys { reads_clear, .. }, Form::InClear(json)) => {
                if *reads_clear {
                    payload::read(json)
                } else {
                    Err(UnreadablePayload::InClear)
                }
            }
            #[cfg(feature = "encryption")]
            (Self::WithKeys { keys, .. }, Form::Sealed(sealed)) => {
                keys.open(record, generation, sealed)
            }
        }
    }

    #[cfg(feature = "encryption")]
    pub(crate) fn has_keys(&self) -> bool {
        matches!(self, Self::WithKeys { .. })
    }

    /// Whether the payload is of the form, and by the key, that it would have if it were made now.
    #[cfg(feature = "encryption")]
    pub(crate) fn is_current(&self, payload: &Payload) -> bool {
        match (self, payload.form()) {
            (Self::InClear, Ok(Form::InClear(_))) => true,
            (Self::WithKeys { keys, .. }, Ok(Form::Sealed(sealed))) => keys.is_by_first(sealed),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccessToken;

    fn record() -> RecordKey {
        RecordKey::new("notion", "ann".into())
    }

    #[test]
    fn credentials_come_back_and_other_bytes_do_not() {
        let mut credentials = NotionUserCredentials::new(AccessToken::new("ntn_1"));
        credentials.workspace_name = Some("Acme".to_owned());

        let payload = Sealer::InClear.seal(&record(), 1, &credentials);
        let back = Sealer::InClear
            .open(&record(), 1, &payload)
            .expect("what was written is read");

        assert_eq!(back.access_token.expose(), "ntn_1");
        assert_eq!(back.workspace_name.as_deref(), Some("Acme"));
        for (bytes, why) in [
            (&b""[..], UnreadablePayload::Damaged),
            (b"\x02{}", UnreadablePayload::Sealed),
            (b"\x03{}", UnreadablePayload::Format),
            (b"{}", UnreadablePayload::Format),
            (b"\x01{}", UnreadablePayload::Damaged),
            (b"\x01{\"access_token\":", UnreadablePayload::Damaged),
        ] {
            let payload = Payload::from_bytes(bytes.to_vec());
            let read = Sealer::InClear.open(&record(), 1, &payload);
            assert_eq!(read.expect_err("not credentials"), why);
        }
    }
}
