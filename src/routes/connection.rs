//! `GET /status` and `POST /disconnect`: the connection that there is.

use http::request::Parts;

use super::{
    answer::{Answer, What, wants_page},
    cross_site,
    state::{Routes, problem_of, return_to},
};
use crate::{error::AuthError, flow_problem::FlowProblem, provider::Revocation, subject::Subject};

pub(super) async fn status(routes: &Routes, head: &Parts) -> Answer {
    let Some(subject) = routes.subjects.signed_in(head) else {
        return FlowProblem::NoSubject.into();
    };
    match routes.provider.status(&subject).await {
        Ok(connection) => What::Status(connection).into(),
        Err(error) => problem_of(&error).into(),
    }
}

pub(super) async fn disconnect(routes: &Routes, head: &Parts) -> Answer {
    if !cross_site::is_own(head, &routes.origin) {
        return FlowProblem::CrossSite.into();
    }
    let target = return_to(head).map(|asked| routes.targets.find(asked.as_deref()));
    let Ok(Some(target)) = target else {
        return FlowProblem::InvalidReturnTarget.into();
    };
    let Some(subject) = routes.subjects.signed_in(head) else {
        return FlowProblem::NoSubject.into();
    };
    match disconnect_in_background(routes, subject).await {
        Ok(is_revoked) => {
            if wants_page(&head.headers) {
                What::Redirect(target.with_result("disconnected")).into()
            } else {
                What::Disconnected { is_revoked }.into()
            }
        }
        Err(error) => problem_of(&error).into(),
    }
}

/// Ends the connection, whether or not the browser waits for it. Returns whether the tokens were revoked.
async fn disconnect_in_background(routes: &Routes, subject: Subject) -> Result<bool, AuthError> {
    let provider = routes.provider.clone();
    let tracked = provider.engine().tasks.track();
    let work = async move {
        let _tracked = tracked;
        let revocation = provider.disconnect(&subject).await?;
        let error: &dyn std::error::Error = match &revocation {
            Revocation::Failed(error) => error,
            Revocation::Unreadable(error) => error,
            Revocation::Done | Revocation::NothingToRevoke => return Ok(true),
        };
        tracing::warn!(%error, "tokens were deleted here, and may still be good at Notion");
        Ok(false)
    };
    let done = routes.provider.engine().runtime()?.spawn(work).await;
    done.unwrap_or_else(|error| {
        Err(AuthError::transient("the disconnect was cut off; try again").with_source(error))
    })
}
