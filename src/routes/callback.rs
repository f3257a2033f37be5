//! `GET /callback`, the redirect URI: what is checked before a flow is completed.

use std::{sync::Arc, time::Duration};

use http::request::Parts;
use url::form_urlencoded;

use super::{
    answer::{Answer, Connected, What, wants_page},
    completion::{Completion, FlowOutcome},
    request_source::{AnotherIdentityConfirmed, check_opened},
    state::{Routes, problem_of},
};
use crate::{
    clock::unix_seconds,
    flow_problem::FlowProblem,
    oauth::{CallbackAnswer, Mismatch, OAuthError},
    provider::Admission,
    store::RecordState,
    subject::Subject,
};

/// How long a second callback of a flow waits for the outcome of the first, and how often it reads the store.
const MAX_WAIT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(200);

pub(super) async fn answer(routes: &Arc<Routes>, head: &Parts) -> Answer {
    if let Err(problem) = check_opened(&head.headers) {
        return problem.into();
    }
    let mut answer = complete(routes, head).await;
    if let What::Problem(problem) = answer.what {
        if wants_page(&head.headers) && leaves_connection(problem) {
            answer.connection = match routes.subjects.signed_in(head) {
                Some(subject) => routes.provider.status(&subject).await.unwrap_or_default(),
                None => None,
            };
        }
    }
    answer
}

/// Whether the page of a problem may show the connection that was there before.
fn leaves_connection(problem: FlowProblem) -> bool {
    !matches!(
        problem,
        FlowProblem::NoSubject | FlowProblem::StoreUnavailable | FlowProblem::InvalidToken
    )
}

async fn complete(routes: &Arc<Routes>, head: &Parts) -> Answer {
    let query = head.uri.query().unwrap_or_default();
    let oauth = routes.provider.oauth();
    let answer = match CallbackAnswer::read(query, Some(&oauth.issuer())) {
        Ok(answer) => answer,
        Err(error) => return no_answer(routes, head, query, &error),
    };
    let state = answer.state().to_owned();
    let signed_in = routes.subjects.signed_in(head);
    let Some(bound_to) = routes.subjects.bound_to(signed_in.as_ref()) else {
        return FlowProblem::NoSubject.into();
    };
    let redirect_uri = oauth.app().redirect_uri();
    let flow = routes.cookies.open(&head.headers, &state);
    // Another app with the same keys has another redirect URI.
    let Some(flow) = flow.filter(|flow| flow.pending.redirect_uri() == redirect_uri) else {
        return status_or_problem(routes, signed_in, FlowProblem::UnknownFlow).await;
    };
    let (begun, return_to) = (flow.pending.created_at(), flow.return_to.clone());
    let cleared = [routes.cookies.clear(&state)];
    let now = routes.provider.engine().clock.wall();
    match flow.pending.check(&bound_to, &state, now) {
        Ok(()) => {}
        // The cookie stays, because the flow is another subject's.
        Err(Mismatch::Subject) => return FlowProblem::ForeignFlow.into(),
        Err(Mismatch::State) => return FlowProblem::UnknownFlow.into(),
        Err(Mismatch::Age) => {
            return Answer::from(FlowProblem::ExpiredFlow)
                .with_cookies(cleared)
                .returning_to(return_to);
        }
    }
    let completion = Completion {
        flow,
        signed_in: signed_in.clone(),
        bound_to,
        answer,
        admission: match head.extensions.get::<AnotherIdentityConfirmed>() {
            Some(_) => Admission::Any,
            None => routes.admission,
        },
    };
    let answer = match completion.run_in_background(routes).await {
        FlowOutcome::Connected { subject, .. } => {
            let target = routes.targets.find(return_to.as_deref());
            let target = target.as_ref().unwrap_or_else(|| routes.targets.default());
            What::Connected(target.with_result("connected"), Connected { subject }).into()
        }
        FlowOutcome::AlreadyUsed => {
            wait_for_first_callback(routes, signed_in.as_ref(), begun).await;
            status_or_problem(routes, signed_in, FlowProblem::UsedFlow).await
        }
        // The cookie stays, for another try.
        FlowOutcome::Unknown(problem) => return Answer::from(problem).returning_to(return_to),
        FlowOutcome::TooMany(wait) => {
            return Answer::from(FlowProblem::TooManyAttempts)
                .retry_after(wait)
                .returning_to(return_to);
        }
        FlowOutcome::Failed { problem, workspace } => {
            Answer::from(problem).already_reported().refusing(workspace)
        }
    };
    answer.with_cookies(cleared).returning_to(return_to)
}

/// Answers a callback without a code: the user refused, or the request does not come from Notion.
fn no_answer(routes: &Routes, head: &Parts, query: &str, error: &OAuthError) -> Answer {
    let problem = if error.is_denied() {
        FlowProblem::Denied
    } else if error.is_authorization_refused() {
        // Not a warning, because anyone can send this request.
        tracing::debug!(%error, "notion_auth.routes");
        FlowProblem::AuthorizationFailed
    } else if error.is_wrong_issuer() {
        FlowProblem::WrongIssuer
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
    // The flow is over. Notion may have left out its state.
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

/// Answers with the status of the subject's connection, or with the problem if there is no connection.
async fn status_or_problem(
    routes: &Routes,
    signed_in: Option<Subject>,
    problem: FlowProblem,
) -> Answer {
    let Some(subject) = signed_in else {
        return problem.into();
    };
    match routes.provider.status(&subject).await {
        Ok(Some(connection)) => {
            routes.report(Some(subject), problem);
            What::AlreadyConnected(connection).into()
        }
        Ok(None) => problem.into(),
        Err(error) => problem_of(&error).into(),
    }
}

/// Waits for the outcome of the first callback. A double click loads the callback twice, and the browser shows the
/// answer of the second.
async fn wait_for_first_callback(routes: &Routes, signed_in: Option<&Subject>, begun: u64) {
    let Some(subject) = signed_in else { return };
    for _ in 0..MAX_WAIT.as_millis() / POLL_INTERVAL.as_millis() {
        match routes.provider.status(subject).await {
            Ok(Some(connection))
                if connection.state == RecordState::Active
                    && connection
                        .connected_at
                        .is_some_and(|at| unix_seconds(at) >= begun) =>
            {
                return;
            }
            Ok(_) => routes.provider.engine().pause(POLL_INTERVAL).await,
            Err(_) => return,
        }
    }
}
