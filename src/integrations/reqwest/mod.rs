//! Notion credentials for reqwest: a middleware, and the Tower layer around a plain client.
//!
//! # With reqwest-middleware
//!
//! ```
//! use notion_auth::{Subject, integrations::reqwest::NotionAuthMiddleware};
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
//! For a client of a single subject, use `NotionAuthMiddleware::refreshing(provider).for_subject("ann")`.
//! Its requests need no extension.
//!
//! # Redirects
//!
//! Disable reqwest's redirects with `redirect(Policy::none())`, as above. A redirect is then returned as a
//! response.
//!
//! reqwest follows redirects inside of any middleware or layer, so this crate cannot check their targets.
//! reqwest 0.13.5 removes `Authorization` if the scheme, host or port differs from the previous hop. But it
//! starts each hop from the first request's headers and compares it only with the previous hop. A server
//! that redirects twice within its own origin therefore receives the token (`tests/it/reqwest/redirects.rs`
//! demonstrates this). Also, a 401 with JSON from another server looks like Notion's and causes a refresh.
//!
//! # Default headers
//!
//! reqwest adds a client's default headers inside of any middleware or layer. The middleware sets `Host` on
//! each request, so that a default `Host` is not sent. The layer around a plain client cannot do that: give
//! such a client no default `Host`.
//!
//! # TLS and versions
//!
//! This crate depends on reqwest without any of its features. Your own dependency on reqwest 0.13 selects
//! TLS and HTTP/2. The major versions of reqwest and `reqwest-middleware`, which is
//! [re-exported](reqwest_middleware), are part of this crate's API.
//!
//! # With reqwest alone
//!
//! `reqwest::Client` is a Tower service for its own request type. A few lines adapt it to `http::Request`,
//! so that a [`NotionAuthLayer`](crate::NotionAuthLayer) can wrap it:
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
