//! The completion of a flow: its state is consumed, its code exchanged, and the credentials stored. It is
//! independent of the request.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{
    flow_cookie::{Flow, digest},
    state::{Routes, problem_of},
};
use crate::{
    credentials::NotionUserCredentials,
    flow_problem::FlowProblem,
    oauth::{CallbackAnswer, OAuthError, PendingFlow},
    provider::{Admission, Connecting},
    subject::Subject,
};

/// A consumed state is remembered for longer than its cookie lives, on any replica's clock.
const REMEMBERED: Duration = Duration::from_secs(2 * PendingFlow::LIFETIME.as_secs());

/// The outcome of a flow.
pub(super) enum FlowOutcome {
    Connected {
        subject: Subject,
        bot_id: Option<String>,
    },
    /// Its state was consumed before.
    AlreadyUsed,
    /// Whether its state is consumed is unknown, because the store failed.
    Unknown(FlowProblem),
    /// Its state is not consumed, because too many codes were exchanged. How long to wait.
    TooMany(Duration),
    /// Its state is consumed.
    Failed {
        problem: FlowProblem,
        /// The name of the workspace, if the connection was refused.
        workspace: Option<String>,
    },
}

impl FlowOutcome {
    fn failed(problem: FlowProblem) -> Self {
        Self::Failed {
            problem,
            workspace: None,
        }
    }

    fn refused(problem: FlowProblem, credentials: NotionUserCredentials) -> Self {
        Self::Failed {
            problem,
            workspace: credentials.workspace_name,
        }
    }
}

/// A flow whose callback passed all checks.
pub(super) struct Completion {
    pub(super) flow: Flow,
    pub(super) signed_in: Option<Subject>,
    pub(super) bound_to: Subject,
    pub(super) answer: CallbackAnswer,
    pub(super) admission: Admission,
}

impl Completion {
    /// Completes the flow, also if the browser doesn't wait: after a double click it drops the first request.
    pub(super) async fn run_in_background(self, routes: &Arc<Routes>) -> FlowOutcome {
        let runtime = match routes.provider.engine().runtime() {
            Ok(runtime) => runtime,
            Err(error) => return FlowOutcome::Unknown(problem_of(&error)),
        };
        let tracked = routes.provider.engine().tasks.track();
        let (sender, outcome) = oneshot::channel();
        let (state, signed_in) = (Arc::clone(routes), self.signed_in.clone());
        runtime.spawn(async move {
            let subject = self.signed_in.clone();
            let outcome = self.run(&state).await;
            let connected = match &outcome {
                FlowOutcome::Connected { subject, bot_id } => {
                    Some((subject.clone(), bot_id.clone()))
                }
                // Not by the request, because the browser may be gone.
                FlowOutcome::Failed { problem, .. } => {
                    state.report(subject, *problem);
                    None
                }
                FlowOutcome::AlreadyUsed | FlowOutcome::Unknown(_) | FlowOutcome::TooMany(_) => {
                    None
                }
            };
            // An error means that the request is gone.
            let _ = sender.send(outcome);
            if let Some((subject, Some(bot_id))) = connected {
                state.provider.report_shared_bot(&subject, &bot_id).await;
            }
            drop(tracked);
            // Last, because it can take long: neither the browser nor a shutdown waits for it.
            state.provider.shared().purge_if_due().await;
        });
        outcome.await.unwrap_or_else(|_| {
            tracing::error!("the task that completes a flow was aborted or panicked");
            routes.report(signed_in, FlowProblem::ExchangeFailed);
            FlowOutcome::failed(FlowProblem::ExchangeFailed)
        })
    }

    async fn run(self, routes: &Routes) -> FlowOutcome {
        let engine = routes.provider.engine();
        let counted_for = self.signed_in.as_ref().map(|_| &self.bound_to);
        let counted_at = engine.clock.monotonic();
        if let Err(wait) = routes.limits.count(counted_for, counted_at) {
            return FlowOutcome::TooMany(wait);
        }
        let digest = digest(self.answer.state());
        let consumed = engine.records.consume_nonce(digest, REMEMBERED).await;
        if !matches!(consumed, Ok(true)) {
            routes.limits.take_back(counted_for, counted_at);
        }
        match consumed {
            Ok(true) => {}
            Ok(false) => return FlowOutcome::AlreadyUsed,
            Err(error) => return FlowOutcome::Unknown(problem_of(&error.into_auth_error())),
        }
        self.complete(routes)
            .await
            .unwrap_or_else(FlowOutcome::failed)
    }

    async fn complete(self, routes: &Routes) -> Result<FlowOutcome, FlowProblem> {
        let oauth = routes.provider.oauth();
        let exchange = oauth.exchange(self.flow.pending, &self.bound_to, self.answer);
        let credentials = exchange.await.map_err(|error| not_exchanged(&error))?;
        let named = routes.subjects.name(self.signed_in.as_ref(), &credentials);
        let Some(subject) = named else {
            routes.provider.revoke_unstored(&credentials).await;
            return Ok(FlowOutcome::refused(FlowProblem::NotAccepted, credentials));
        };
        let connect = routes
            .provider
            .connect(&subject, &credentials, self.admission);
        match connect.await {
            Ok(Connecting::Done) => Ok(FlowOutcome::Connected {
                bot_id: credentials.bot_id().map(str::to_owned),
                subject,
            }),
            Ok(Connecting::Unusable) => Err(FlowProblem::InvalidToken),
            Ok(Connecting::Refused) => {
                routes.provider.revoke_unstored(&credentials).await;
                let problem = FlowProblem::IdentityRefused;
                Ok(FlowOutcome::refused(problem, credentials))
            }
            Ok(Connecting::NotSaved(error)) => {
                routes.provider.revoke_unstored(&credentials).await;
                Err(problem_of(&error))
            }
            // Not revoked: the store may have stored them although its answer was lost.
            Err(error) => Err(problem_of(&error)),
        }
    }
}

fn not_exchanged(error: &OAuthError) -> FlowProblem {
    tracing::warn!(%error, "notion_auth.routes");
    // It pauses no refreshes, because a visitor can cause it.
    if error.is_about_the_app() || error.is_configuration() {
        FlowProblem::Misconfigured
    } else {
        FlowProblem::ExchangeFailed
    }
}
