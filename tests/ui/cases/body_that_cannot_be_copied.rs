use http::Request;
use hyper::body::Incoming;
use notion_auth::{NotionAuthLayer, NotionAuthProvider, https_client};
use tower::{Layer, Service};

fn proxy(provider: NotionAuthProvider) -> impl Service<Request<Incoming>> {
    NotionAuthLayer::refreshing(provider).layer(https_client::<Incoming>())
}

fn main() {}
