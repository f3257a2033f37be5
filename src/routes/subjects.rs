//! Which subject a flow is for.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use crate::{credentials::NotionUserCredentials, subject::Subject};

pub(super) type Namer =
    Box<dyn Fn(Option<&Subject>, &NotionUserCredentials) -> Option<Subject> + Send + Sync>;

/// Returns a name of 22 bytes, however long the subject's own is, because it must fit into a cookie.
fn digest(parts: &[&str]) -> Subject {
    let whole = Subject::from_parts(parts.iter().copied());
    let digest = Sha256::digest(whole.as_str());
    Subject::new(URL_SAFE_NO_PAD.encode(&digest[..16]))
}

/// How the subject of a connection is determined: it is the one that is signed in, unless the application names it.
pub(super) struct Subjects {
    pub(super) namer: Option<Namer>,
}

impl Subjects {
    /// Returns the subject that the application's session layer has set.
    pub(super) fn signed_in(&self, head: &Parts) -> Option<Subject> {
        head.extensions.get().cloned()
    }

    /// Returns the subject that a connection will have, if that is known before the flow.
    pub(super) fn known<'a>(&self, signed_in: Option<&'a Subject>) -> Option<&'a Subject> {
        signed_in.filter(|_| self.namer.is_none())
    }

    /// Returns what a flow is bound to from its start to its callback. Visitors who are not signed in can start one only
    /// if the application names subjects.
    pub(super) fn bound_to(&self, signed_in: Option<&Subject>) -> Option<Subject> {
        match (signed_in, &self.namer) {
            (Some(subject), _) => Some(digest(&["signed in", subject.as_str()])),
            (None, Some(_)) => Some(digest(&["nobody"])),
            (None, None) => None,
        }
    }

    /// Returns the subject of the connection; `None` if the application refuses it.
    pub(super) fn name(
        &self,
        signed_in: Option<&Subject>,
        credentials: &NotionUserCredentials,
    ) -> Option<Subject> {
        match &self.namer {
            Some(namer) => namer(signed_in, credentials),
            None => signed_in.cloned(),
        }
    }
}
