//! Notion credentials for reqwest: a middleware, and the layer around a plain client.
//!
//! # With reqwest-middleware
//!
//! ```
//! use notion_auth::{Subject, reqwest::NotionAuthMiddleware};
//! use reqwest::redirect::Policy;
//! use reqwest_middleware::ClientBuilder;
//! # use notion_auth::testing::MockNotion;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), notion_auth::BoxError> {
//! # let notion = MockNotion::start().await?;
//! # let provider = notion.provider_builder()?.build()?;
//! # provider.store_credentials(&"ann".into(), notion.connect()).await?;
//! # let api = notion.base_url();
//! let http = reqwest::Client::builder().redirect(Policy::none()).build()?;
//! let client = ClientBuilder::new(http)
//!     .with(NotionAuthMiddleware::refreshing(provider))
//!     .build();
//!
//! let request = client.get(format!("{api}/v1/users/me"));
//! let response = request.with_extension(Subject::new("ann")).send().await?;
//! assert_eq!(response.status(), 200);
//! # Ok(()) }
//! ```
//!
//! A client for one subject has `NotionAuthMiddleware::refreshing(provider).for_subject("ann")`, and its
//! requests need no extension.
//!
//! # Redirects
//!
//! reqwest follows redirects below any middleware and any layer, so that nothing here sees where a hop
//! goes. Its version 0.13.5 takes `Authorization` off a hop whose scheme, host or port is not that of the
//! hop before. But it starts each hop from the first request's headers, and compares with the hop before
//! alone: a server elsewhere need only redirect once more, within itself, and gets the token.
//! `tests/it/reqwest/redirects.rs` shows it. And a 401 with JSON from elsewhere, to a request without a
//! token, looks like Notion's refusal of it and causes a refresh.
//!
//! One line prevents it, `redirect(Policy::none())` as above: then a redirect is an answer as any other.
//!
//! # Default headers
//!
//! reqwest adds a client's default headers below any middleware and any layer too. The middleware sets
//! `Host` on each request, so that a default one is not sent. A layer around a plain client can't do
//! that: give such a client no default `Host`.
//!
//! # TLS and versions
//!
//! This crate asks for reqwest without any of its features: which TLS there is, and HTTP/2, say those that
//! your own dependency on reqwest 0.13 has. The major versions of reqwest and `reqwest-middleware`, which
//! is [re-exported](reqwest_middleware), are part of this crate's API.
//!
//! # With reqwest alone
//!
//! `reqwest::Client` is a Tower service of its own type of request. Few lines make it one of
//! `http::Request`, which takes a [`NotionAuthLayer`](crate::NotionAuthLayer) as any other does:
//!
//! ```
//! use bytes::Bytes;
//! use notion_auth::{NotionAuthLayer, Subject};
//! use reqwest::redirect::Policy;
//! use tower::{Layer, ServiceExt, service_fn};
//! # use notion_auth::testing::MockNotion;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), notion_auth::BoxError> {
//! # let notion = MockNotion::start().await?;
//! # let provider = notion.provider_builder()?.build()?;
//! # provider.store_credentials(&"ann".into(), notion.connect()).await?;
//! # let api = notion.base_url();
//! let http = reqwest::Client::builder().redirect(Policy::none()).build()?;
//! let service = service_fn(move |request: http::Request<Bytes>| {
//!     let http = http.clone();
//!     async move { http.execute(request.try_into()?).await.map(http::Response::<reqwest::Body>::from) }
//! });
//! let client = NotionAuthLayer::refreshing(provider).layer(service);
//!
//! let mut request = http::Request::get(format!("{api}/v1/users/me")).body(Bytes::new())?;
//! request.extensions_mut().insert(Subject::new("ann"));
//! let response = client.oneshot(request).await?;
//! assert_eq!(response.status(), 200);
//! let me = reqwest::Response::from(response).text().await?;
//! assert!(me.contains("bot"));
//! # Ok(()) }
//! ```

mod middleware;

pub use reqwest_middleware;

pub use self::middleware::NotionAuthMiddleware;
