//! Links by which a service lets a customer connect a workspace, without a key of the gateway.

use std::{sync::Arc, time::Duration};

use axum::{
    Form,
    body::{Body, Bytes},
    extract::{FromRequest as _, Request, State},
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Redirect, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use notion_auth::{
    Subject,
    routes::AuthenticatedByHeader,
    store::{CredentialStore, Nonce, StoreError},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::timeout;
use url::Url;

use crate::{
    access,
    connect::{Connect, add_cookie, foreign, html, parameter},
    envelope,
    keys::{Fingerprint, bearer, fingerprint},
    output, page,
    site::{Site, is_loopback},
    visitor::{Guest, Visitor, now},
};

/// How long a link can be used.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// A used link is remembered for longer than it lives, on any replica's clock.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Time limit for the store, as in the library.
const STORE_TIME: Duration = Duration::from_secs(5);

const LONGEST_SUBJECT: usize = 512;
const LONGEST_NAME: usize = 100;
const LONGEST_URL: usize = 512;

/// Purpose that the token is encrypted for.
const PURPOSE: &str = "gateway-link";

/// Which links were used: in the store, because each replica may get each request.
#[derive(Clone)]
pub(crate) struct UsedLinks(Arc<dyn CredentialStore>);

impl UsedLinks {
    pub(crate) fn of(store: impl CredentialStore) -> Self {
        Self(Arc::new(store))
    }

    /// Whether this is the first use.
    async fn is_first(&self, link: &Link) -> Result<bool, StoreError> {
        let nonce = Nonce::new("gateway-links", fingerprint(&link.id));
        let consuming = self.0.consume_nonce(&nonce, REMEMBERED);
        let late = |_| StoreError::unavailable("credential store", "no answer within 5 s");
        timeout(STORE_TIME, consuming).await.map_err(late)?
    }
}

/// What the token holds.
#[derive(Serialize, Deserialize)]
struct Link {
    id: String,
    until: u64,
    /// The key by which the service asked for it.
    key: Fingerprint,
    guest: Guest,
}

/// What a service says about a link, beside the subject.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    name: Option<String>,
    return_to: Option<String>,
}

/// `POST /connect/links`: makes a link for the subject that the request names.
pub(crate) async fn make(State(connect): State<Connect>, request: Request) -> Response {
    let extensions = request.extensions();
    let (Some(subject), Some(_)) = (
        extensions.get::<Subject>().cloned(),
        // A visitor's cookie is not enough: another site could have it sent.
        extensions.get::<AuthenticatedByHeader>(),
    ) else {
        return envelope::no_key();
    };
    let key = bearer(request.headers()).map(fingerprint);
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(rejected) => {
            let (status, problem) = (rejected.status(), rejected.body_text());
            return envelope::error(status, "validation_error", &problem);
        }
    };
    let link = key
        .ok_or_else(String::new)
        .and_then(|key| link(&connect.site, subject, key, &body));
    let link = match link {
        Ok(link) => link,
        Err(problem) => {
            return envelope::error(StatusCode::BAD_REQUEST, "validation_error", &problem);
        }
    };
    let link = serde_json::to_string(&link).unwrap_or_default();
    let token = connect.sealer.token(PURPOSE, link);
    let url = format!("{}?token={token}", connect.site.address("/connect/link"));
    let body = json!({"url": url, "expires_in": LIFETIME.as_secs()});
    let mut response = Response::new(Body::from(body.to_string()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn link(site: &Site, subject: Subject, key: Fingerprint, body: &[u8]) -> Result<Link, String> {
    let asked: Asked = match body.trim_ascii() {
        [] => Asked::default(),
        body => asked(body).map_err(|error| {
            format!("the body is not {{\"name\": …, \"return_to\": …}} in JSON: {error}")
        })?,
    };
    if subject.as_str().len() > LONGEST_SUBJECT {
        return Err(format!(
            "the subject has more than {LONGEST_SUBJECT} bytes, which is too long for a link"
        ));
    }
    if let Some(name) = &asked.name
        && (name.chars().count() > LONGEST_NAME || !is_visible(name))
    {
        return Err(format!(
            "`name` must have 1 to {LONGEST_NAME} characters, one of them a letter or a digit, without line breaks \
             and invisible characters"
        ));
    }
    if let Some(target) = asked.return_to.as_deref() {
        if !is_target(target) {
            return Err(format!(
                "`return_to` must be an https:// URL (http:// only on this machine) of at most {LONGEST_URL} bytes, \
                 without a user name"
            ));
        }
        if is_own(target, site) {
            return Err("`return_to` must not be under the gateway's own /connect".to_owned());
        }
    }
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| error.to_string())?;
    Ok(Link {
        id: BASE64_URL_SAFE_NO_PAD.encode(id),
        until: now() + LIFETIME.as_secs(),
        key,
        guest: Guest {
            subject: subject.as_str().to_owned(),
            name: asked.name,
            return_to: asked.return_to,
        },
    })
}

fn asked(body: &[u8]) -> Result<Asked, serde_json::Error> {
    // Serde reads an array as the members in their order.
    match body.starts_with(b"[") {
        true => Err(serde::de::Error::custom("it is an array")),
        false => serde_json::from_slice(body),
    }
}

/// Whether a page shows the name, and nothing in it changes how the rest is shown.
fn is_visible(name: &str) -> bool {
    let is_hidden = |it: char| output::is_hidden(it) || is_ignorable(it);
    name.chars().any(char::is_alphanumeric) && !name.chars().any(is_hidden)
}

/// Whether a character is of Unicode's `Default_Ignorable_Code_Point`, or an annotation. Variation selectors are allowed,
/// because emoji and Japanese names have them: <https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point>
fn is_ignorable(it: char) -> bool {
    matches!(
        it,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e00ff}'
    )
}

/// Whether a browser may be sent there when a workspace is connected.
fn is_target(text: &str) -> bool {
    let is_plain =
        text.len() <= LONGEST_URL && text.bytes().all(|it| it.is_ascii_graphic() && it != b'\\');
    // A parser of URLs corrects what it can, and a browser may correct it in another way.
    let has_host = ["https://", "http://"].iter().any(|scheme| {
        text.strip_prefix(scheme).is_some_and(|rest| {
            rest.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '[')
        })
    });
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    is_plain
        && has_host
        && (url.scheme() == "https" || is_loopback(&url))
        && url.username().is_empty()
}

/// Whether it is a page of the gateway, which would send the browser to itself.
fn is_own(target: &str, site: &Site) -> bool {
    Url::parse(target).is_ok_and(|url| {
        let rest = url.path().strip_prefix(&*site.path("/connect"));
        let is_under = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        is_under && url.origin() == site.url().origin()
    })
}

/// Returns the link of a token, with the visitor that it signs in, if it can still be used.
fn opened(connect: &Connect, token: Option<&str>) -> Option<(Link, Visitor)> {
    let link = connect.sealer.open(PURPOSE, token?)?;
    let link: Link = serde_json::from_str(&link).ok()?;
    if link.until < now() {
        return None;
    }
    let key = connect.keys.by_fingerprint(&link.key)?;
    let visitor = Visitor::sign_in(link.key, &key, Some(link.guest.clone())).ok()?;
    Some((link, visitor))
}

/// `GET /connect/link`: asks the visitor, and changes nothing. Otherwise a victim who opens an attacker's link would
/// connect the workspace to the attacker's subject, and a preview would use the link up.
pub(crate) async fn show(State(connect): State<Connect>, request: Request) -> Response {
    let token = request.uri().query().and_then(|it| parameter(it, "token"));
    match opened(&connect, token.as_deref()) {
        Some((_, visitor)) => {
            let token = token.unwrap_or_default();
            // Browsers apply `form-action` to the redirects after a form too, and the last one leads to Notion.
            html(page::link(&connect.site, &visitor, &token), "")
        }
        None => gone(),
    }
}

#[derive(Deserialize)]
struct Used {
    token: String,
}

/// `POST /connect/link`: signs the visitor in for the link's subject, once.
pub(crate) async fn follow(State(connect): State<Connect>, request: Request) -> Response {
    // Before the form is read.
    if !connect.is_own(request.headers()) {
        return foreign(&connect.site);
    }
    let signed_in = connect.visitor(request.headers());
    let exchange = access::exchange(&request);
    let form = match Form::<Used>::from_request(request, &()).await {
        Ok(Form(form)) => form,
        Err(rejected) => {
            let mut page = gone();
            *page.status_mut() = rejected.status();
            return page;
        }
    };
    let Some((link, visitor)) = opened(&connect, Some(&form.token)) else {
        return gone();
    };
    if let Some(exchange) = exchange {
        exchange.identify(&visitor.caller);
    }
    match connect.used_links.is_first(&link).await {
        Ok(true) => {}
        // A double click: the first request has signed the visitor in.
        Ok(false) if signed_in.is_some_and(|it| it.guest == visitor.guest) => {
            return Redirect::to(&connect.site.path("/connect")).into_response();
        }
        Ok(false) => return gone(),
        Err(error) => {
            tracing::warn!(%error, "a link was not used, because the store failed");
            let page = html(page::try_again(&visitor), "");
            return (StatusCode::SERVICE_UNAVAILABLE, page).into_response();
        }
    }
    let status = connect.provider.status(&visitor.caller.subject).await;
    let next = match status {
        Ok(None) => format!("/connect/authorize?page={}", visitor.mark()),
        Ok(Some(_)) | Err(_) => "/connect".to_owned(),
    };
    let mut response = Redirect::to(&connect.site.path(&next)).into_response();
    add_cookie(&mut response, &visitor.cookie(&connect.sealer));
    response
}

fn gone() -> Response {
    (StatusCode::GONE, html(page::link_is_gone(), "")).into_response()
}

#[cfg(test)]
mod tests {
    use cookie::Key;

    use super::*;
    use crate::{
        connect::LONGEST_FORM,
        keys::{GatewayKey, Owner, Rights},
        sealed::Sealer,
    };

    fn site() -> Site {
        Site::new("https://gateway.example/n", None).expect("a site")
    }

    fn asked(body: &str) -> Result<Link, String> {
        let subject = Subject::new("ann");
        link(&site(), subject, fingerprint("key"), body.as_bytes())
    }

    #[test]
    fn a_service_names_the_customer_and_where_the_browser_returns() {
        for body in ["", " ", "{}"] {
            let link = asked(body).expect("defaults");
            assert_eq!((link.guest.name, link.guest.return_to), (None, None));
        }
        for url in [
            "https://app.example",
            "https://app.example:8443/settings?tab=2#notion",
            "http://localhost:3000/settings",
            "http://[::1]:3000/",
            "https://gateway.example/connect",
            "https://gateway.example/n/connected",
        ] {
            let link = asked(&format!(r#"{{"name":"Ann Lée","return_to":"{url}"}}"#)).expect(url);
            assert_eq!(link.guest.return_to.as_deref(), Some(url));
        }
        for name in ["7", "李", "❤\u{fe0f} Acme", "葛\u{e0100}城", "עברית"] {
            let link = asked(&json!({"name": name}).to_string()).expect(name);
            assert_eq!(link.guest.name.as_deref(), Some(name));
        }
    }

    #[test]
    fn a_name_that_cannot_be_seen_is_refused() {
        for it in [
            '\u{3164}',
            '\u{115f}',
            '\u{2800}',
            '\u{ad}',
            '\u{61c}',
            '\u{2060}',
            '\u{180e}',
            '\u{fe0f}',
            '\u{fff9}',
            '\u{e0041}',
            '\u{202e}',
        ] {
            let is_shown_with_others = ['\u{2800}', '\u{fe0f}'].contains(&it);
            for (name, is_accepted) in [
                (it.to_string(), false),
                (format!("a{it}b"), is_shown_with_others),
            ] {
                let asked = asked(&json!({"name": name}).to_string());
                assert_eq!(asked.is_ok(), is_accepted, "{name:?}");
            }
        }
    }

    #[test]
    fn other_bodies_are_refused_by_the_name_of_their_member() {
        let long = format!("https://app.example/{}", "x".repeat(LONGEST_URL));
        for url in [
            "http://app.example/",
            "//app.example/",
            "/settings",
            "javascript:alert(1)",
            "https:app.example",
            "https:/app.example",
            "https:///app.example",
            r"https:\\\\app.example",
            r"https://app.example\\@evil.example",
            "https://app.example@evil.example/",
            "https://:secret@app.example/",
            "https://@app.example/",
            "https://app.example/\\u000d\\u000aSet-Cookie: a=b",
            " https://app.example/",
            "https://app.exämple/",
            "https://gateway.example/n/connect",
            "https://gateway.example:443/n/connect/?notion=connected",
            &long,
        ] {
            let problem = asked(&format!(r#"{{"return_to":"{url}"}}"#)).err();
            assert!(problem.expect(url).contains("`return_to`"), "{url}");
        }
        let long = "x".repeat(LONGEST_NAME + 1);
        for name in ["", " ", r"a\nb", r"a\u202eb", &long] {
            let problem = asked(&format!(r#"{{"name":"{name}"}}"#)).err();
            assert!(problem.expect(name).contains("`name`"), "{name}");
        }
        for body in [
            "[]",
            r#"["Ann", null]"#,
            "name=ann",
            r#"{"returnTo":"https://app.example"}"#,
        ] {
            assert!(
                asked(body).err().expect(body).contains("the body"),
                "{body}"
            );
        }
        let subject = Subject::new("x".repeat(LONGEST_SUBJECT + 1));
        let problem = link(&site(), subject, fingerprint("key"), b"").err();
        assert!(problem.expect("too long").contains("the subject"));
    }

    #[test]
    fn the_longest_link_fits_into_a_form_and_its_visitor_into_a_cookie() {
        let key = GatewayKey {
            id: "service".into(),
            owner: Owner::Service,
            rights: Rights::CONNECT,
            expires: None,
            paths: Vec::new(),
        };
        let body = format!(
            r#"{{"name":"{}","return_to":"https://a/{}"}}"#,
            "\u{20000}".repeat(LONGEST_NAME),
            "x".repeat(LONGEST_URL - "https://a/".len())
        );
        let subject = Subject::new("\"".repeat(LONGEST_SUBJECT));
        let link = link(&site(), subject, fingerprint("key"), body.as_bytes()).expect("it fits");
        let sealer = Sealer::new(Key::generate(), true);
        let visitor = Visitor::sign_in(link.key, &key, Some(link.guest.clone())).expect("a key");
        let cookie = visitor.cookie(&sealer);
        assert!(cookie.len() <= 4096, "{}", cookie.len());
        let token = sealer.token(PURPOSE, serde_json::to_string(&link).expect("JSON"));
        assert!(
            "token=".len() + token.len() <= LONGEST_FORM,
            "{}",
            token.len()
        );
    }
}
