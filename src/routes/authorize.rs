//! `GET /authorize`: starts a flow.

use http::request::Parts;

use super::{
    answer::{Answer, What},
    flow_cookie::Flow,
    request_source::{check_opened, is_from_another_site},
    state::{Routes, problem_of, return_to},
};
use crate::flow_problem::FlowProblem;

pub(super) async fn answer(routes: &Routes, head: &Parts) -> Answer {
    if let Err(problem) = check_opened(&head.headers) {
        return problem.into();
    }
    let return_to = match return_to(head) {
        Ok(asked) if routes.targets.find(asked.as_deref()).is_some() => asked,
        _ => return FlowProblem::InvalidReturnTarget.into(),
    };
    // Before the subject is looked up, because browsers send no `SameSite=Strict` cookie with such a request.
    if is_from_another_site(&head.headers, &routes.origin) {
        return Answer::from(What::Confirm).returning_to(return_to);
    }
    let signed_in = routes.subjects.signed_in(head);
    let Some(bound_to) = routes.subjects.bound_to(signed_in.as_ref()) else {
        return Answer::from(FlowProblem::NoSubject).returning_to(return_to);
    };
    if let Some(subject) = routes.subjects.known(signed_in.as_ref()) {
        if let Err(error) = routes.provider.check_connectable(subject).await {
            return Answer::from(problem_of(&error)).returning_to(return_to);
        }
    }
    let authorization = match routes.provider.oauth().authorize(&bound_to) {
        Ok(authorization) => authorization,
        Err(error) => {
            tracing::error!(%error, "notion_auth.routes");
            return FlowProblem::Misconfigured.into();
        }
    };
    let flow = Flow {
        pending: authorization.pending,
        return_to,
    };
    match routes.cookies.seal(&flow) {
        Some(cookie) => Answer::from(What::Redirect(authorization.url.into()))
            .with_cookies(routes.cookies.make_room(&head.headers))
            .with_cookies([cookie]),
        None => FlowProblem::FlowTooLarge.into(),
    }
}
