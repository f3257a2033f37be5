//! The middleware for reqwest-middleware, over real sockets.

mod destination;
mod elsewhere;
mod identity;
mod injection;
mod redirects;
mod refusal;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::{Extensions, HeaderMap};
use notion_auth::{
    AuthError, NotionAuthProvider, NotionUserCredentials, Subject,
    integrations::reqwest::NotionAuthMiddleware,
    testing::{MockNotion, TestClock},
};
use reqwest::{Request, Response, redirect::Policy};
use reqwest_middleware::{
    ClientBuilder, ClientWithMiddleware, Middleware, Next, RequestBuilder, Result,
};

/// A mock server on a socket, and a provider with one connected subject, `ann`.
struct World {
    notion: MockNotion,
    clock: TestClock,
    provider: NotionAuthProvider,
    ann: NotionUserCredentials,
}

impl World {
    async fn new() -> Self {
        Self::with(MockNotion::start().await.unwrap()).await
    }

    async fn with(notion: MockNotion) -> Self {
        let clock = TestClock::new();
        let builder = notion.provider_builder().unwrap().clock(clock.clone());
        let provider = builder.build().unwrap();
        let ann = connect(&notion, &provider, "ann").await;
        Self {
            notion,
            clock,
            provider,
            ann,
        }
    }

    fn middleware(&self) -> NotionAuthMiddleware {
        NotionAuthMiddleware::refreshing(self.provider.clone())
    }

    fn client(&self) -> ClientWithMiddleware {
        around(http(Policy::none()), self.middleware())
    }

    fn me(&self, client: &ClientWithMiddleware) -> RequestBuilder {
        client.get(format!("{}/v1/users/me", self.notion.base_url()))
    }

    fn revoke(&self) {
        let token = self.ann.access_token.expose();
        self.notion.revoke_access_token(token);
    }

    fn refreshes(&self) -> usize {
        self.notion.ledger().refreshes().len()
    }
}

async fn connect(
    notion: &MockNotion,
    provider: &NotionAuthProvider,
    subject: &str,
) -> NotionUserCredentials {
    let credentials = notion.connect();
    let subject = Subject::new(subject);
    let stored = provider.store_credentials(&subject, credentials.clone());
    stored.await.unwrap();
    credentials
}

fn http(redirects: Policy) -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().redirect(redirects);
    client.build().unwrap()
}

fn around(http: reqwest::Client, middleware: NotionAuthMiddleware) -> ClientWithMiddleware {
    ClientBuilder::new(http).with(middleware).build()
}

fn ann() -> Subject {
    Subject::new("ann")
}

#[track_caller]
fn auth_error(error: &reqwest_middleware::Error) -> &AuthError {
    AuthError::find(error).unwrap_or_else(|| panic!("not an AuthError: {error:?}"))
}

type HeadersAndBody = (HeaderMap, Option<Vec<u8>>);

/// Middleware that records the requests.
#[derive(Clone, Default)]
struct Spy(Arc<Mutex<Vec<HeadersAndBody>>>);

impl Spy {
    /// Puts a spy inside of the middleware.
    fn behind(&self, middleware: NotionAuthMiddleware) -> ClientWithMiddleware {
        ClientBuilder::new(http(Policy::none()))
            .with(middleware)
            .with(self.clone())
            .build()
    }
}

#[async_trait]
impl Middleware for Spy {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let body = request.body().and_then(|body| body.as_bytes());
        let seen = (request.headers().clone(), body.map(<[u8]>::to_vec));
        self.0.lock().unwrap().push(seen);
        next.run(request, extensions).await
    }
}
