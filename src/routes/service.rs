use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Method, Request, Response, request::Parts};
use tower_service::Service;

use super::{
    answer::{Answer, Body, What},
    authorize, callback, connection,
    state::Routes,
};
use crate::flow_problem::FlowProblem;

/// The longest query that is read, in bytes.
const LONGEST_QUERY: usize = 4096;

/// The routes by which users connect a Notion workspace: a Tower service for any HTTP server.
///
/// Made by [`NotionAuthProvider::routes`](crate::NotionAuthProvider::routes); the module's page has the routes. Its error is
/// [`Infallible`]: whatever goes wrong is an answer. It is always ready, and clones share everything.
///
/// When a browser goes away, a code that was about to be exchanged is exchanged and stored all the
/// same.
#[derive(Clone)]
pub struct NotionOAuthService {
    routes: Arc<Routes>,
}

impl NotionOAuthService {
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
    let answer = match route_name(&routes.mount, head.uri.path()) {
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
    if !answer.is_reported {
        routes.report(routes.subjects.signed_in(head), problem);
    }
    answer
}

/// Returns the route's name, whether or not a router has removed the mount point from the path.
fn route_name<'a>(mount: &str, path: &'a str) -> Option<&'a str> {
    let mounted = path.strip_prefix(mount);
    let name = |path: &'a str| path.strip_prefix('/').filter(|it| !it.contains('/'));
    mounted.and_then(name).or_else(|| name(path))
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
