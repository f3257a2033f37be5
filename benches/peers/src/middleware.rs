//! reqwest-middleware: a client whose last middleware answers immediately, so that nothing is sent, and
//! `NotionAuthProvider::acquire` in a middleware of a dozen lines.

use std::cell::RefCell;

use async_trait::async_trait;
use http::{Extensions, header::AUTHORIZATION};
use notion_auth::{NotionAuthProvider, Subject, header::NOTION_VERSION};
use reqwest::{Client, Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next, Result};

use crate::{
    harness::{self, BATCH, Case, name, version},
    now,
};

const FLOOR: &str = "reqwest, an answer alone";
const NONE: &str = "reqwest-middleware, no other middleware";

thread_local! {
    static SENT: RefCell<Vec<Request>> = RefCell::new(Vec::with_capacity(BATCH));
}

pub(crate) fn floor() -> Case {
    Case::new(FLOOR, FLOOR, request, |(request, extensions)| {
        drop(answer(request));
        extensions
    })
}

pub(crate) fn cases(provider: NotionAuthProvider) -> [Case; 3] {
    let client = || ClientBuilder::new(Client::new());
    let pass = "reqwest-middleware, one that passes on";
    let ours = "reqwest-middleware, `acquire` and two headers";
    [
        through(NONE, FLOOR, client()),
        through(pass, NONE, client().with(PassThrough)),
        through(ours, NONE, client().with(Authorize(provider))),
    ]
}

fn through(name: &str, floor: &'static str, builder: ClientBuilder) -> Case {
    let client: ClientWithMiddleware = builder.with(Answer).build();
    Case::new(name, floor, request, move |(request, mut extensions)| {
        let response = now(client.execute_with_extensions(request, &mut extensions));
        drop(response.expect("an answer"));
        extensions
    })
}

fn request() -> (Request, Extensions) {
    SENT.with_borrow_mut(Vec::clear);
    let request = harness::request(500).map(|()| "");
    let mut extensions = Extensions::new();
    extensions.insert(Subject::new(name(500)));
    (request.try_into().expect("a request"), extensions)
}

fn answer(request: Request) -> Response {
    SENT.with_borrow_mut(|sent| sent.push(request));
    http::Response::new("").into()
}

struct Answer;

#[async_trait]
impl Middleware for Answer {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        Ok(answer(request))
    }
}

struct PassThrough;

#[async_trait]
impl Middleware for PassThrough {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        next.run(request, extensions).await
    }
}

struct Authorize(NotionAuthProvider);

#[async_trait]
impl Middleware for Authorize {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let subject: &Subject = extensions.get().expect("a subject");
        let acquired = self.0.acquire(subject).await.map_err(Error::middleware)?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, acquired.authorization().clone());
        headers.insert(NOTION_VERSION, version());
        next.run(request, extensions).await
    }
}
