//! `GET /status` and `POST /disconnect`: shows and ends the subject's connection.

use http::request::Parts;

use super::{
    answer::{Answer, What, wants_page},
    request_source::is_own,
    state::{Routes, problem_of, return_to},
};
use crate::{flow_problem::FlowProblem, provider::Revocation};

pub(super) async fn status(routes: &Routes, head: &Parts) -> Answer {
    let return_to = match return_to(head) {
        Ok(asked) if routes.targets.find(asked.as_deref()).is_some() => asked,
        _ => return FlowProblem::InvalidReturnTarget.into(),
    };
    let answer = match routes.subjects.signed_in(head) {
        None => FlowProblem::NoSubject.into(),
        Some(subject) => match routes.provider.status(&subject).await {
            Ok(connection) => What::Status(connection).into(),
            Err(error) => Answer::from(problem_of(&error)),
        },
    };
    answer.returning_to(return_to)
}

pub(super) async fn disconnect(routes: &Routes, head: &Parts) -> Answer {
    if !is_own(head, &routes.origin) {
        return FlowProblem::CrossSite.into();
    }
    let target = return_to(head).map(|asked| routes.targets.find(asked.as_deref()));
    let Ok(Some(target)) = target else {
        return FlowProblem::InvalidReturnTarget.into();
    };
    let Some(subject) = routes.subjects.signed_in(head) else {
        return FlowProblem::NoSubject.into();
    };
    match routes.provider.disconnect(&subject).await {
        Ok(revocation) => {
            let is_revoked = matches!(revocation, Revocation::Done | Revocation::NothingToRevoke);
            if wants_page(&head.headers) {
                What::Redirect(target.with_result("disconnected")).into()
            } else {
                What::Disconnected { is_revoked }.into()
            }
        }
        Err(error) => problem_of(&error).into(),
    }
}
