//! google-cloud-auth: the headers of cached credentials, added to a request as Google's clients do.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpListener,
    thread,
};

use google_cloud_auth::credentials::{CacheableResource, Credentials, user_account};
use http::{Extensions, HeaderMap, header::AUTHORIZATION};
use notion_auth::header::NOTION_VERSION;
use serde_json::{Value, json};

use crate::{
    FLOOR, RUNTIME,
    harness::{Case, Inner, request, send, version},
    named, now, token,
};

pub(crate) fn user_account(with_version: bool) -> Case {
    let credentials = credentials();
    let warm = RUNTIME.block_on(headers(&credentials));
    assert!(warm.contains_key(AUTHORIZATION));
    let name = named("google-cloud-auth, user account", with_version);
    let request = || request(500);
    Case::new(name, FLOOR, request, move |mut request| {
        now(async {
            request.headers_mut().extend(headers(&credentials).await);
            if with_version {
                request.headers_mut().insert(NOTION_VERSION, version());
            }
            send(&mut Inner, request);
        });
    })
}

async fn headers(credentials: &Credentials) -> HeaderMap {
    match credentials.headers(Extensions::new()).await {
        Ok(CacheableResource::New { data, .. }) => data,
        Ok(CacheableResource::NotModified) => unreachable!("no entity tag was sent"),
        Err(error) => panic!("no headers: {error}"),
    }
}

/// Credentials as from `gcloud auth application-default login`, except for the token endpoint.
fn credentials() -> Credentials {
    let endpoint = start_endpoint(&json!({
        "access_token": token(),
        "expires_in": 3600,
        "token_type": "Bearer",
    }));
    let user = json!({
        "type": "authorized_user",
        "client_id": "bench",
        "client_secret": "secret",
        "refresh_token": "refresh",
        "token_uri": endpoint.expect("a server"),
    });
    let _context = RUNTIME.enter();
    let credentials = user_account::Builder::new(user).build();
    credentials.expect("credentials")
}

/// Starts a server that answers the first request with this JSON. Returns its URL.
fn start_endpoint(answer: &Value) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/token", listener.local_addr()?);
    let body = answer.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    let response = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        // The response is the same for each request, so only the first byte is read.
        stream.read_exact(&mut [0])?;
        stream.write_all(response.as_bytes())?;
        io::copy(&mut stream, &mut io::sink())
    });
    Ok(url)
}
