//! `GET /authorize`: a flow begins.

use http::request::Parts;

use super::{
    answer::{Answer, What},
    flow_cookie::Flow,
    state::{Routes, problem_of, return_to},
};
use crate::flow_problem::FlowProblem;

pub(super) async fn answer(routes: &Routes, head: &Parts) -> Answer {
    let return_to = match return_to(head) {
        Ok(asked) if routes.targets.find(asked.as_deref()).is_some() => asked,
        _ => return FlowProblem::InvalidReturnTarget.into(),
    };
    let signed_in = routes.subjects.signed_in(head);
    let Some(bound_to) = routes.subjects.bound_to(signed_in.as_ref()) else {
        return Answer::from(FlowProblem::NoSubject).returning_to(return_to);
    };
    if let Err(error) = routes.provider.check_connectable(&bound_to).await {
        return problem_of(&error).into();
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
