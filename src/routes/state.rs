//! State that the routes share.

use http::request::Parts;
use url::{Host, Origin, form_urlencoded};

use super::{
    flow_cookie::FlowCookies, limits::ExchangeLimits, page::Renderer, return_to::ReturnTargets,
    subjects::Subjects,
};
use crate::{
    error::AuthError,
    event::Event,
    flow_problem::FlowProblem,
    provider::{Admission, NotionAuthProvider},
    subject::Subject,
};

/// The state that all clones of the service share.
pub(super) struct Routes {
    pub(super) provider: NotionAuthProvider,
    /// The path before the names of `authorize`, `status` and `disconnect`, as browsers see it.
    pub(super) mount: String,
    /// The path of the redirect URI.
    pub(super) callback: String,
    /// The origin of the redirect URI: your application's own.
    pub(super) origin: Origin,
    pub(super) cookies: FlowCookies,
    pub(super) targets: ReturnTargets,
    pub(super) subjects: Subjects,
    pub(super) limits: ExchangeLimits,
    pub(super) admission: Admission,
    pub(super) renderer: Option<Renderer>,
}

impl Routes {
    /// Returns the address of a route, for the browser.
    pub(super) fn address(&self, route: &str, return_to: Option<&str>) -> String {
        let mut address = format!("{}{route}", self.mount);
        if let Some(return_to) = return_to {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("return_to", return_to);
            address = format!("{address}?{}", query.finish());
        }
        address
    }

    /// Returns the host of the redirect URI, for people.
    pub(super) fn origin_host(&self) -> &str {
        match &self.origin {
            Origin::Tuple(_, Host::Domain(host), _) => host,
            _ => "this site",
        }
    }

    /// Emits [`Event::FlowFailed`].
    pub(super) fn report(&self, subject: Option<Subject>, problem: FlowProblem) {
        self.provider
            .engine()
            .events
            .emit(Event::FlowFailed { subject, problem });
    }
}

/// Returns the parameter `return_to` of the query, if there is one. A duplicate is a problem.
pub(super) fn return_to(head: &Parts) -> Result<Option<String>, FlowProblem> {
    let query = head.uri.query().unwrap_or_default();
    let mut asked = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "return_to")
        .map(|(_, value)| value.into_owned());
    match (asked.next(), asked.next()) {
        (_, Some(_)) => Err(FlowProblem::InvalidReturnTarget),
        (asked, None) => Ok(asked),
    }
}

/// Returns the problem that the user sees for an error of the provider, and logs the error.
pub(super) fn problem_of(error: &AuthError) -> FlowProblem {
    tracing::warn!(%error, "notion_auth.routes");
    if error.is_configuration() {
        FlowProblem::Misconfigured
    } else {
        FlowProblem::StoreUnavailable
    }
}
