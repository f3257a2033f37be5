//! reqwest-middleware: a client whose last middleware answers at once, so that nothing is sent; and
//! `NotionAuthProvider::acquire` in a middleware of a dozen lines.

use std::cell::RefCell;

use async_trait::async_trait;
use http::{Extensions, header::AUTHORIZATION};
use notion_auth::{NotionAuthProvider, Subject, header::NOTION_VERSION};
use reqwest::{Client, Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next, Result};

use crate::{
    headers::version,
    poll::now,
    support::{
        inner::{self, BATCH, name},
        prepared::Prepared,
    },
};

pub(crate) const FLOOR: &str = "reqwest, an answer alone";
pub(crate) const NONE: &str = "reqwest-middleware, no other middleware";
pub(crate) const PASS: &str = "reqwest-middleware, one that passes on";
pub(crate) const OURS: &str = "reqwest-middleware, `acquire` and two headers";

thread_local! {
    static SENT: RefCell<Vec<Request>> = RefCell::new(Vec::with_capacity(BATCH));
}

pub(crate) fn floor() -> Prepared {
    Prepared::new(FLOOR, request, |(request, extensions)| {
        drop(answer(request));
        extensions
    })
}

pub(crate) fn none() -> Prepared {
    through(NONE, ClientBuilder::new(Client::new()))
}

pub(crate) fn pass_through() -> Prepared {
    through(PASS, ClientBuilder::new(Client::new()).with(PassThrough))
}

pub(crate) fn ours(provider: NotionAuthProvider) -> Prepared {
    let builder = ClientBuilder::new(Client::new()).with(Authorize(provider));
    through(OURS, builder)
}

fn through(name: &str, builder: ClientBuilder) -> Prepared {
    let client: ClientWithMiddleware = builder.with(Answer).build();
    Prepared::new(name, request, move |(request, mut extensions)| {
        let response = now(client.execute_with_extensions(request, &mut extensions));
        drop(response.expect("an answer"));
        extensions
    })
}

fn request() -> (Request, Extensions) {
    SENT.with_borrow_mut(Vec::clear);
    let request = inner::request(500).map(|()| "");
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
