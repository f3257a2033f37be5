//! google-cloud-auth: the headers of cached credentials, put on a request as Google's own clients do.

use google_cloud_auth::credentials::{CacheableResource, Credentials, user_account};
use http::{Extensions, HeaderMap, Request, header::AUTHORIZATION};
use notion_auth::header::NOTION_VERSION;
use serde_json::json;

use crate::{
    headers::{Job, token, version},
    poll::{now, runtime},
    support::{
        inner::{Inner, request, send},
        prepared::Prepared,
    },
    token_endpoint,
};

pub(crate) const CACHED: &str = "google-cloud-auth, user account";

pub(crate) fn cached(job: Job) -> Prepared {
    let credentials = credentials();
    let warm = runtime().block_on(headers(&credentials));
    assert!(warm.contains_key(AUTHORIZATION));
    Prepared::new(
        job.name(CACHED),
        || request(500),
        move |request| now(send_with(&credentials, job, request)),
    )
}

async fn send_with(credentials: &Credentials, job: Job, mut request: Request<()>) {
    request.headers_mut().extend(headers(credentials).await);
    if job.has_version() {
        request.headers_mut().insert(NOTION_VERSION, version());
    }
    send(&mut Inner, request);
}

async fn headers(credentials: &Credentials) -> HeaderMap {
    match credentials.headers(Extensions::new()).await {
        Ok(CacheableResource::New { data, .. }) => data,
        Ok(CacheableResource::NotModified) => unreachable!("no entity tag was sent"),
        Err(error) => panic!("no headers: {error}"),
    }
}

/// What `gcloud auth application-default login` leaves, but for who answers.
fn credentials() -> Credentials {
    let endpoint = token_endpoint::start(json!({
        "access_token": token(),
        "expires_in": 3600,
        "token_type": "Bearer",
    }));
    let user = json!({
        "type": "authorized_user",
        "client_id": "bench",
        "client_secret": "secret",
        "refresh_token": "refresh",
        "token_uri": endpoint,
    });
    let _context = runtime().enter();
    user_account::Builder::new(user)
        .build()
        .expect("credentials")
}
