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

/// The routes besides the callback.
pub(super) const ROUTES: [&str; 3] = ["authorize", "status", "disconnect"];

/// Tower service with the routes by which users connect a Notion workspace, for any HTTP server.
///
/// Made by [`NotionAuthProvider::routes`](crate::NotionAuthProvider::routes); the [module](super) describes the routes. Its error is [`Infallible`],
/// because each failure is an answer. It is always ready, and clones share everything.
///
/// If a browser goes away while its code is being exchanged, the credentials are stored all the same.
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
        // The routes don't read bodies.
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
    let answer = match route(routes, head.uri.path()) {
        _ if head.uri.query().unwrap_or_default().len() > LONGEST_QUERY => {
            FlowProblem::QueryTooLong.into()
        }
        Some(Route::Authorize) if is_get => authorize::answer(routes, head).await,
        Some(Route::Callback) if is_get => callback::answer(routes, head).await,
        Some(Route::Status) if is_get => connection::status(routes, head).await,
        Some(Route::Disconnect) if is_post => connection::disconnect(routes, head).await,
        Some(Route::Disconnect) => What::WrongMethod { allowed: "POST" }.into(),
        Some(_) => What::WrongMethod { allowed: "GET" }.into(),
        None => FlowProblem::NotFound.into(),
    };
    let problem = match answer.what {
        What::Problem(problem) => problem,
        What::WrongMethod { .. } => FlowProblem::MethodNotAllowed,
        _ => return answer,
    };
    // Browsers prefetch what users may open: that is no failure of a flow.
    if !answer.is_reported && problem != FlowProblem::Prefetch {
        routes.report(routes.subjects.signed_in(head), problem);
    }
    answer
}

enum Route {
    Authorize,
    Callback,
    Status,
    Disconnect,
}

/// Returns the route of a request's path, of which a router or a proxy may have removed a prefix.
fn route(routes: &Routes, path: &str) -> Option<Route> {
    if is_rest_of(path, &routes.callback) {
        return Some(Route::Callback);
    }
    let (_, name) = path.rsplit_once('/')?;
    if !is_rest_of(path, &format!("{}/{name}", routes.mount)) {
        return None;
    }
    match name {
        "authorize" => Some(Route::Authorize),
        "status" => Some(Route::Status),
        "disconnect" => Some(Route::Disconnect),
        _ => None,
    }
}

/// Whether `path` is `whole`, or what is left of it without its first segments.
fn is_rest_of(path: &str, whole: &str) -> bool {
    path == whole || (path.len() > 1 && path.starts_with('/') && whole.ends_with(path))
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
