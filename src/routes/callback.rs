//! `GET /callback`, the redirect URI: what is checked before a flow ends.

use std::{sync::Arc, time::Duration};

use http::request::Parts;
use url::form_urlencoded;

use super::{
    answer::{Answer, Connected, What},
    ending::{End, Ending},
    service::{Routes, problem_of},
};
use crate::{
    clock::unix_seconds,
    flow_problem::FlowProblem,
    oauth::{CallbackAnswer, Mismatch, OAuthError},
    store::RecordState,
    subject::Subject,
};

/// Who comes second waits so long for the first one to be done, to be told of it.
const PATIENCE: Duration = Duration::from_secs(5);
const GLANCE: Duration = Duration::from_millis(200);

pub(super) async fn answer(routes: &Arc<Routes>, head: &Parts) -> Answer {
    let query = head.uri.query().unwrap_or_default();
    let answer = match CallbackAnswer::from_query(query) {
        Ok(answer) => answer,
        Err(error) => return no_answer(routes, head, query, &error),
    };
    let state = answer.state().to_owned();
    let signed_in = routes.subjects.signed_in(head);
    let Some(bound_to) = routes.subjects.bound_to(signed_in.as_ref()) else {
        return FlowProblem::NoSubject.into();
    };
    let redirect_uri = routes.provider.oauth().app().redirect_uri();
    let flow = routes.cookies.open(&head.headers, &state);
    // That of another app with the same keys is none of this one's.
    let Some(flow) = flow.filter(|flow| flow.pending.redirect_uri() == redirect_uri) else {
        return standing(routes, signed_in, FlowProblem::UnknownFlow).await;
    };
    let (begun, return_to) = (flow.pending.created_at(), flow.return_to.clone());
    let cleared = [routes.cookies.clear(&state)];
    let now = routes.provider.engine().clock.wall();
    match flow.pending.check(&bound_to, &state, now) {
        Ok(()) => {}
        // The cookie stays: it is not this visitor's to use up.
        Err(Mismatch::Subject) => return FlowProblem::ForeignFlow.into(),
        Err(Mismatch::State) => return FlowProblem::UnknownFlow.into(),
        Err(Mismatch::Age) => {
            return Answer::from(FlowProblem::ExpiredFlow)
                .with_cookies(cleared)
                .returning_to(return_to);
        }
    }
    let ending = Ending {
        flow,
        signed_in: signed_in.clone(),
        bound_to,
        answer,
    };
    let answer = match ending.behind(routes).await {
        End::Connected { subject, .. } => {
            let target = routes.targets.find(return_to.as_deref());
            let target = target.as_ref().unwrap_or_else(|| routes.targets.default());
            What::Connected(target.with_result("connected"), Connected { subject }).into()
        }
        End::Used => {
            wait_for_the_first(routes, signed_in.as_ref(), begun).await;
            standing(routes, signed_in, FlowProblem::UsedFlow).await
        }
        // The cookie stays, for another try.
        End::Unmarked(problem) => return problem.into(),
        End::Failed(problem) => Answer::from(problem).already_told(),
    };
    answer.with_cookies(cleared).returning_to(return_to)
}

/// Notion sent no code: the user refused, or it was not Notion.
fn no_answer(routes: &Routes, head: &Parts, query: &str, error: &OAuthError) -> Answer {
    let problem = if error.is_denied() {
        FlowProblem::Denied
    } else if error.is_authorization_refused() {
        // Anybody can send it.
        tracing::debug!(%error, "notion_auth.routes");
        FlowProblem::AuthorizationFailed
    } else {
        match error.missing() {
            Some("code") => FlowProblem::MissingCode,
            Some(_) => FlowProblem::MissingState,
            None => FlowProblem::DuplicateParameter,
        }
    };
    let answer = Answer::from(problem);
    if !error.is_authorization_refused() {
        return answer;
    }
    // The flow is over. Its state may be missing here.
    let state = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "state")
        .map(|(_, state)| state);
    let flow = state.and_then(|state| routes.cookies.open(&head.headers, &state));
    match flow {
        Some(flow) => answer
            .with_cookies([routes.cookies.clear(flow.pending.expose_state())])
            .returning_to(flow.return_to),
        None => answer,
    }
}

/// The subject's connection as it stands; the problem, if there is none.
async fn standing(routes: &Routes, signed_in: Option<Subject>, problem: FlowProblem) -> Answer {
    let Some(subject) = signed_in else {
        return problem.into();
    };
    match routes.provider.status(&subject).await {
        Ok(Some(connection)) => {
            routes.tell(Some(subject), problem);
            What::Status(Some(connection)).into()
        }
        Ok(None) => problem.into(),
        Err(error) => problem_of(&error).into(),
    }
}

/// A double click loads the callback twice, and the browser shows the second one's answer.
async fn wait_for_the_first(routes: &Routes, signed_in: Option<&Subject>, begun: u64) {
    let Some(subject) = signed_in else { return };
    for _ in 0..PATIENCE.as_millis() / GLANCE.as_millis() {
        match routes.provider.status(subject).await {
            Ok(Some(connection))
                if connection.state == RecordState::Active
                    && connection
                        .connected_at
                        .is_some_and(|at| unix_seconds(at) >= begun) =>
            {
                return;
            }
            Ok(_) => routes.provider.engine().pause(GLANCE).await,
            Err(_) => return,
        }
    }
}
