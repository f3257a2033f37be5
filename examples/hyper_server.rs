//! A site whose visitor connects a workspace, with hyper's server and no framework.
//!
//! `cargo run --example hyper_server` needs no account, because it uses a mock Notion server on this machine. Its last
//! lines act as the visitor's browser.

use bytes::Bytes;
use http::{
    Request, Response, StatusCode,
    header::{COOKIE, LOCATION, SET_COOKIE},
};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use notion_auth::{
    AuthError, BoxError, HttpsClient, Keyring, NotionAuth, NotionAuthLayer, NotionOAuthService,
    Subject, https_client, testing::MockNotion,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

#[derive(Clone)]
struct Site {
    routes: NotionOAuthService,
    notion: NotionAuth<HttpsClient<Empty<Bytes>>>,
}

impl Site {
    /// Answers every request. The session's subject is inserted before the routes run.
    async fn answer(
        self,
        mut request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, BoxError> {
        // Replace with your session. Here every visitor is Ann.
        let visitor = Subject::new("ann");
        request.extensions_mut().insert(visitor.clone());
        if request.uri().path().starts_with("/notion/") {
            let answer = self.routes.oneshot(request).await?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await?.to_bytes();
            return Ok(Response::from_parts(head, Full::new(body)));
        }
        let me = Request::get("/v1/users/me").extension(visitor);
        let me = me.body(Empty::new())?;
        Ok(match self.notion.oneshot(me).await {
            Ok(answer) => Response::new(answer.into_body().collect().await?.to_bytes().into()),
            Err(error) => match AuthError::find(&*error) {
                // In the envelope of Notion's API, with the right status.
                Some(error) => error.to_response().map(Into::into),
                None => return Err(error),
            },
        })
    }
}

async fn serve(listener: TcpListener, site: Site) -> Result<(), BoxError> {
    loop {
        let (stream, _) = listener.accept().await?;
        let site = site.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| site.clone().answer(request));
            let server = auto::Builder::new(TokioExecutor::new());
            let served = server.serve_connection(TokioIo::new(stream), service).await;
            served.inspect_err(|error| eprintln!("a connection ended: {error}"))
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let notion = MockNotion::builder()
        .redirect_uri(format!("{url}/notion/callback"))
        .start()
        .await?;
    // In production: `Keyring::from_env()`, the same keys in all replicas.
    let provider = notion.provider_builder()?.keys(Keyring::random()).build()?;
    let site = Site {
        routes: provider.routes().build()?,
        notion: NotionAuthLayer::refreshing(provider).layer(https_client()),
    };
    tokio::spawn(serve(listener, site));
    println!("The site listens on {url}. Nothing is connected yet:");

    let before = visit(&format!("{url}/"), "").await?;
    assert_eq!(before.status(), StatusCode::UNAUTHORIZED);
    println!("Ann clicks on \"Connect Notion\":");
    let begun = visit(&format!("{url}/notion/authorize"), "").await?;
    assert_eq!(begun.status(), StatusCode::SEE_OTHER);
    println!("At Notion she allows it, and is sent back:");
    let callback = notion.consent(header(&begun, LOCATION))?;
    let cookie = header(&begun, SET_COOKIE)
        .split(';')
        .next()
        .unwrap_or_default();
    let back = visit(&callback, cookie).await?;
    assert_eq!(back.status(), StatusCode::SEE_OTHER);
    println!("Now the site can ask Notion on her behalf:");
    let after = visit(&format!("{url}/"), "").await?;
    assert_eq!(after.status(), StatusCode::OK);
    Ok(())
}

/// Sends a browser's request. Prints the path and the response, without the secrets of the query.
async fn visit(url: &str, cookie: &str) -> Result<Response<String>, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let request = Request::get(url)
        .header(COOKIE, cookie)
        .header("accept", "text/html");
    let (head, body) = client
        .request(request.body(Empty::new())?)
        .await?
        .into_parts();
    let body = String::from_utf8(body.collect().await?.to_bytes().into())?;
    let response = Response::from_parts(head, body);
    let (path, target) = (before_query(url), before_query(header(&response, LOCATION)));
    println!("   GET {path} → {} {target}", response.status());
    if !response.body().is_empty() {
        println!("   {:.110}", response.body());
    }
    Ok(response)
}

fn before_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

fn header(response: &Response<String>, name: http::HeaderName) -> &str {
    let value = response.headers().get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
