//! For whom a flow is.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use crate::{credentials::NotionUserCredentials, subject::Subject};

pub(super) type Namer =
    Box<dyn Fn(Option<&Subject>, &NotionUserCredentials) -> Option<Subject> + Send + Sync>;

/// A name of 22 bytes for whom a flow is bound to, however long the subject's own is: it must fit into a
/// cookie.
fn digest(parts: &[&str]) -> Subject {
    let whole = Subject::from_parts(parts.iter().copied());
    let digest = Sha256::digest(whole.as_str());
    Subject::new(URL_SAFE_NO_PAD.encode(&digest[..16]))
}

/// How the subject of a connection is known: as who is signed in, unless the host names it.
pub(super) struct Subjects {
    pub(super) namer: Option<Namer>,
}

impl Subjects {
    /// What the host's session layer says of the request.
    pub(super) fn signed_in(&self, head: &Parts) -> Option<Subject> {
        head.extensions.get().cloned()
    }

    /// Whom a flow is bound to from its start to its end. Only a host that names subjects lets
    /// somebody begin who is not signed in.
    pub(super) fn bound_to(&self, signed_in: Option<&Subject>) -> Option<Subject> {
        match (signed_in, &self.namer) {
            (Some(subject), _) => Some(digest(&["signed in", subject.as_str()])),
            (None, Some(_)) => Some(digest(&["nobody"])),
            (None, None) => None,
        }
    }

    /// Whose the connection is; `None` if the host will not have it.
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
