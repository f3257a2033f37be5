//! Errors show no secret that was sent, and no text that looks like one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, header::AUTHORIZATION};
use notion_auth::{AccessToken, NotionUserCredentials, credentials::RefreshToken};
use serde_json::{Value, json};

use super::{
    Kind, all_texts, app, assert_shows_none_of, call, fails,
    wire::{Wire, response},
};

const SECRET: &str = "canary_secret_51";

/// The secrets of a request.
struct Sent {
    basic: String,
    /// The code or token.
    token: String,
}

impl Sent {
    fn new(request: &Request<Bytes>) -> Self {
        let authorization = request.headers()[AUTHORIZATION].to_str().expect("text");
        let body: Value = serde_json::from_slice(request.body()).expect("JSON");
        let names = ["code", "refresh_token", "token"];
        let token = names.iter().find_map(|name| body[name].as_str());
        Self {
            basic: authorization.to_owned(),
            token: token.expect("a token").to_owned(),
        }
    }

    fn all(&self) -> String {
        let Self { basic, token } = self;
        format!("you are 1f2e:{SECRET} ({basic}), '{token}' is bad; token={token}")
    }
}

#[tokio::test(start_paused = true)]
async fn no_error_shows_a_secret_that_the_server_echoes() {
    let echoes: [fn(&Sent) -> String; 10] = [
        |sent| json!({"error": "invalid_grant", "error_description": sent.all()}).to_string(),
        |sent| json!({"error": "invalid_grant", "request_id": sent.all()}).to_string(),
        |sent| {
            json!({"object": "error", "code": "invalid_grant", "message": sent.all()}).to_string()
        },
        |sent| json!({"error": sent.token, "error_description": "bad"}).to_string(),
        |_| json!({"error": SECRET}).to_string(),
        |sent| json!({"error": format!("x_{}_y", sent.token)}).to_string(),
        |sent| json!({"object": "error", "code": sent.token, "message": sent.basic}).to_string(),
        |sent| json!({"echo": sent.all(), &*sent.token: [sent.basic]}).to_string(),
        |sent| json!(sent.all()).to_string(),
        Sent::all,
    ];
    let basic = STANDARD.encode(format!("1f2e:{SECRET}"));
    let access = AccessToken::new("canary_access_54");
    let mut credentials = NotionUserCredentials::new(access.clone());
    credentials.refresh_token = Some(RefreshToken::new("canary_refresh_53"));
    for echo in echoes {
        for status in [200, 302, 400, 401, 403, 408, 429, 500, 503] {
            let wire = Wire::new(move |request| response(status, echo(&Sent::new(request))));
            let flow = wire.flow(app().client_secret(SECRET));
            let outcomes = [
                flow.exchange_code("canary_code_52").await.map(drop),
                flow.refresh(&credentials).await.map(drop),
                flow.introspect(&access).await.map(drop),
                flow.revoke(&access).await,
            ];
            assert_eq!(wire.seen().len(), 4);
            let errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
            // A revocation succeeds by its status alone.
            assert!(errors.len() >= 3, "{status}");
            for error in errors {
                let text = all_texts(&error);
                assert_shows_none_of(&text, &["canary", &basic, &basic[..20]]);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn text_that_looks_like_a_token_is_redacted() {
    for token in [
        "secret_Canary",
        "ntn_Canary",
        "nrt_Canary",
        "adm_Canary",
        "x=ntn_Canary",
    ] {
        let description = format!("Not {token} !");
        let refusal = json!({
            "error": "invalid_grant", "error_description": description, "request_id": token,
        });
        let flow = Wire::json(400, &refusal).flow(app());
        let error = call(&flow, "refresh").await.unwrap_err();
        assert_shows_none_of(&all_texts(&error), &["Canary"]);
        let description = error.refusal().and_then(|it| it.description.as_deref());
        assert_eq!(description, Some("Not [REDACTED] !"));
    }
}

#[tokio::test(start_paused = true)]
async fn secret_that_is_part_of_an_error_code_does_not_redact_it() {
    for (secret, code) in [("client", "invalid_client"), ("grant", "invalid_grant")] {
        let wire = Wire::json(400, &json!({ "error": code }));
        let flow = wire.flow(app().client_secret(secret));
        let refused = Kind::Refused(400, code.to_owned());
        fails(call(&flow, "refresh").await, &refused);
    }
}

#[tokio::test(start_paused = true)]
async fn description_is_one_line_of_bounded_length() {
    let long = format!("first\r\nsecond\u{7}\u{1b}[31m {}", "x".repeat(10_000));
    let refusal = json!({"error": "invalid_grant", "error_description": long});
    let flow = Wire::json(400, &refusal).flow(app());
    let text = call(&flow, "refresh").await.unwrap_err().to_string();
    assert!(text.contains("first second[31m x"), "{text}");
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.len() < 300, "{}", text.len());
}
