use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Method, Request, Response, request::Parts};
use tower_service::Service;
use url::{Origin, form_urlencoded};

use super::{
    NotionOAuthServiceBuilder,
    answer::{Answer, Body, Renderer, What},
    authorize, callback, connection,
    flow_cookie::FlowCookies,
    return_to::ReturnTargets,
    subjects::Subjects,
};
use crate::{
    error::AuthError,
    event::Event,
    flow_problem::FlowProblem,
    provider::{Admission, NotionAuthProvider},
    subject::Subject,
};

/// The longest query that is read, in bytes.
const LONGEST_QUERY: usize = 4096;

/// The routes by which users connect a Notion workspace: a Tower service for any HTTP server.
///
/// Made by [`NotionOAuthService::builder`]; the module's page has the routes. Its error is
/// [`Infallible`]: whatever goes wrong is an answer. It is always ready, and clones share everything.
///
/// When a browser goes away, a code that was about to be exchanged is exchanged and stored all the
/// same.
#[derive(Clone)]
pub struct NotionOAuthService {
    routes: Arc<Routes>,
}

/// What all clones share.
pub(super) struct Routes {
    pub(super) provider: NotionAuthProvider,
    /// The path of the redirect URI without `/callback`.
    pub(super) mount: String,
    /// The origin of the redirect URI: the host's own.
    pub(super) origin: Origin,
    pub(super) cookies: FlowCookies,
    pub(super) targets: ReturnTargets,
    pub(super) subjects: Subjects,
    pub(super) admission: Admission,
    pub(super) renderer: Option<Renderer>,
}

impl NotionOAuthService {
    /// A builder with the defaults, for the app of this provider.
    pub fn builder(provider: NotionAuthProvider) -> NotionOAuthServiceBuilder {
        NotionOAuthServiceBuilder::new(provider)
    }

    pub(super) fn new(routes: Routes) -> Self {
        Self {
            routes: Arc::new(routes),
        }
    }
}

impl<B> Service<Request<B>> for NotionOAuthService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let routes = Arc::clone(&self.routes);
        // No route reads a body.
        let (head, _) = request.into_parts();
        Box::pin(async move {
            let answer = answer(&routes, &head).await;
            Ok(answer.into_response(&routes, &head.headers))
        })
    }
}

async fn answer(routes: &Arc<Routes>, head: &Parts) -> Answer {
    let is_get = head.method == Method::GET;
    let is_post = head.method == Method::POST;
    let answer = match routes.route(head.uri.path()) {
        _ if head.uri.query().unwrap_or_default().len() > LONGEST_QUERY => {
            FlowProblem::QueryTooLong.into()
        }
        Some("authorize") if is_get => authorize::answer(routes, head).await,
        Some("callback") if is_get => callback::answer(routes, head).await,
        Some("status") if is_get => connection::status(routes, head).await,
        Some("disconnect") if is_post => connection::disconnect(routes, head).await,
        Some("authorize" | "callback" | "status") => What::WrongMethod { allowed: "GET" }.into(),
        Some("disconnect") => What::WrongMethod { allowed: "POST" }.into(),
        _ => FlowProblem::NotFound.into(),
    };
    let problem = match answer.what {
        What::Problem(problem) => problem,
        What::WrongMethod { .. } => FlowProblem::MethodNotAllowed,
        _ => return answer,
    };
    if !answer.is_told {
        routes.tell(routes.subjects.signed_in(head), problem);
    }
    answer
}

impl Routes {
    /// The route's name, at the mount point or where a router has taken that off.
    fn route<'a>(&self, path: &'a str) -> Option<&'a str> {
        let mounted = path.strip_prefix(&*self.mount);
        let name = |path: &'a str| path.strip_prefix('/').filter(|it| !it.contains('/'));
        mounted.and_then(name).or_else(|| name(path))
    }

    /// A route's address for the browser.
    pub(super) fn address(&self, route: &str, return_to: Option<&str>) -> String {
        let mut address = format!("{}{route}", self.mount);
        if let Some(return_to) = return_to {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("return_to", return_to);
            address = format!("{address}?{}", query.finish());
        }
        address
    }

    pub(super) fn tell(&self, subject: Option<Subject>, problem: FlowProblem) {
        self.provider
            .engine()
            .events
            .emit(Event::FlowFailed { subject, problem });
    }
}

/// `return_to` of a query; nothing if it is not there, a problem if it is there twice.
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

/// What an error of the provider is to the user; the operator finds it in the log.
pub(super) fn problem_of(error: &AuthError) -> FlowProblem {
    tracing::warn!(%error, "notion_auth.routes");
    if error.is_configuration() {
        FlowProblem::Misconfigured
    } else {
        FlowProblem::StoreUnavailable
    }
}

impl fmt::Debug for NotionOAuthService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotionOAuthService")
            .field("provider", &self.routes.provider)
            .field("mount", &self.routes.mount)
            .field("targets", &self.routes.targets)
            .finish_non_exhaustive()
    }
}
