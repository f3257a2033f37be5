//! The end of a flow: used, exchanged, stored. No request owns it.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{
    flow_cookie::{Flow, digest},
    service::{Routes, problem_of},
};
use crate::{
    credentials::NotionUserCredentials,
    flow_problem::FlowProblem,
    oauth::{CallbackAnswer, OAuthError, PendingFlow},
    provider::Connecting,
    subject::Subject,
};

/// A used state is remembered for longer than its cookie lives, on whichever replica's clock.
const REMEMBERED: Duration = Duration::from_secs(2 * PendingFlow::LIFETIME.as_secs());

/// How a flow ended.
pub(super) enum End {
    Connected {
        subject: Subject,
        bot_id: Option<String>,
    },
    /// It was used before.
    Used,
    /// It may be used up or not: the store did not say.
    Unmarked(FlowProblem),
    /// It is used up.
    Failed(FlowProblem),
}

/// A flow whose callback holds.
pub(super) struct Ending {
    pub(super) flow: Flow,
    pub(super) signed_in: Option<Subject>,
    pub(super) bound_to: Subject,
    pub(super) answer: CallbackAnswer,
}

impl Ending {
    /// Uses the flow, exchanges the code and stores what it gives, whether or not the browser waits for
    /// it: after a double click it does not.
    pub(super) async fn behind(self, routes: &Arc<Routes>) -> End {
        let runtime = match routes.provider.engine().runtime() {
            Ok(runtime) => runtime,
            Err(error) => return End::Unmarked(problem_of(&error)),
        };
        let tracked = routes.provider.engine().tasks.track();
        let (sender, ended) = oneshot::channel();
        let (behind, signed_in) = (Arc::clone(routes), self.signed_in.clone());
        runtime.spawn(async move {
            let _tracked = tracked;
            let subject = self.signed_in.clone();
            let end = self.end(&behind).await;
            let connected = match &end {
                End::Connected { subject, bot_id } => Some((subject.clone(), bot_id.clone())),
                // Here, since the browser may be gone.
                End::Failed(problem) => {
                    behind.tell(subject, *problem);
                    None
                }
                End::Used | End::Unmarked(_) => None,
            };
            // Nobody waits for it any more, if this fails.
            let _ = sender.send(end);
            if let Some((subject, Some(bot_id))) = connected {
                behind.provider.report_shared_bot(&subject, &bot_id).await;
            }
        });
        ended.await.unwrap_or_else(|_| {
            tracing::error!("the end of a flow was cut off");
            routes.tell(signed_in, FlowProblem::ExchangeFailed);
            End::Failed(FlowProblem::ExchangeFailed)
        })
    }

    async fn end(self, routes: &Routes) -> End {
        let engine = routes.provider.engine();
        let digest = digest(self.answer.state());
        match engine.records.consume_nonce(digest, REMEMBERED).await {
            Ok(true) => {}
            Ok(false) => return End::Used,
            Err(error) => return End::Unmarked(problem_of(&error.into_auth_error())),
        }
        self.complete(routes).await.unwrap_or_else(End::Failed)
    }

    async fn complete(self, routes: &Routes) -> Result<End, FlowProblem> {
        let oauth = routes.provider.oauth();
        let exchange = oauth.exchange(self.flow.pending, &self.bound_to, self.answer);
        let credentials = exchange.await.map_err(|error| not_exchanged(&error))?;
        let named = routes.subjects.name(self.signed_in.as_ref(), &credentials);
        let Some(subject) = named else {
            revoke(routes, &credentials).await;
            return Err(FlowProblem::IdentityRefused);
        };
        let connect = routes
            .provider
            .connect(&subject, &credentials, routes.admission);
        match connect.await {
            Ok(Connecting::Done) => Ok(End::Connected {
                bot_id: credentials.bot_id().map(str::to_owned),
                subject,
            }),
            Ok(Connecting::Unusable) => Err(FlowProblem::InvalidToken),
            Ok(Connecting::Refused) => {
                revoke(routes, &credentials).await;
                Err(FlowProblem::IdentityRefused)
            }
            Ok(Connecting::NotSaved(error)) => {
                revoke(routes, &credentials).await;
                Err(problem_of(&error))
            }
            // Not revoked: the store may have taken it, and only its answer been lost.
            Err(error) => Err(problem_of(&error)),
        }
    }
}

fn not_exchanged(error: &OAuthError) -> FlowProblem {
    tracing::warn!(%error, "notion_auth.routes");
    // It pauses no refreshes: a visitor may have caused it.
    if error.is_about_the_app() || error.is_configuration() {
        FlowProblem::Misconfigured
    } else {
        FlowProblem::ExchangeFailed
    }
}

/// What is not kept must not stay good.
async fn revoke(routes: &Routes, credentials: &NotionUserCredentials) {
    if let Err(error) = routes.provider.oauth().revoke_both(credentials).await {
        tracing::error!(%error, "tokens that were refused could not be revoked");
    }
}
