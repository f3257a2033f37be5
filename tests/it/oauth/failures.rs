//! Error responses and lost responses. `protocol::transport` has more of them.

use http::header::LOCATION;
use notion_auth::{
    oauth::OAuthError,
    testing::{
        MockNotion,
        notion::{Call, ErrorShape, Fault},
    },
};
use serde_json::json;

use super::{
    Kind, all_texts, app, app_of, assert_shows_none_of, built, call, code, fails, flow, kind,
    provider, refresh_token, start, token_answer, wire::Wire,
};

/// Runs an exchange and a refresh with this fault, each sent once.
async fn calls_meet(fault: Fault) -> [OAuthError; 2] {
    let notion = start(MockNotion::builder()).await;
    let flow = flow(&notion);
    let code = code(&notion, &flow);
    let old = notion.connect();
    let token = refresh_token(&old).expect("a refresh token");
    notion.script(Call::Token, [fault.clone(), fault]);
    let errors = [
        flow.exchange_code(&code).await.unwrap_err(),
        flow.refresh(&old).await.unwrap_err(),
    ];
    for (error, sent) in errors.iter().zip([&code, token]) {
        assert_eq!(notion.ledger().presentations_of(sent).len(), 1, "{error}");
        assert_shows_none_of(&all_texts(error), &[sent, notion.client_secret()]);
    }
    errors
}

#[tokio::test]
async fn answer_that_is_lost_or_unreadable_is_ambiguous() {
    for fault in [
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::StatusBefore(500),
        Fault::StatusAfter(500),
        Fault::StatusBefore(502),
        Fault::StatusAfter(503),
        Fault::StatusBefore(504),
        Fault::StatusBefore(529),
        Fault::StatusBefore(408),
        Fault::StatusAfter(408),
        Fault::Truncated,
        Fault::WrongJson,
        Fault::Html,
        Fault::Blocked,
    ] {
        for error in calls_meet(fault.clone()).await {
            assert_eq!(kind(&error), Kind::Ambiguous, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let elsewhere = start(MockNotion::builder()).await;
    for to in [elsewhere.token_url(), "/v1/oauth/token".to_owned()] {
        for error in calls_meet(Fault::Redirect(to)).await {
            assert_eq!(kind(&error), Kind::Configuration);
        }
    }
    assert!(elsewhere.ledger().presentations().is_empty());

    for status in [300, 301, 302, 303, 304, 307, 308] {
        let body = token_answer().to_string();
        let wire = Wire::with_header(status, body, LOCATION, "https://evil.example/");
        let outcome = call(&wire.flow(app()), "exchange").await;
        fails(outcome, &Kind::Configuration);
        assert_eq!(wire.seen().len(), 1);
    }
}

#[tokio::test]
async fn rate_limit_is_reported_with_its_retry_after() {
    for retry_after in [None, Some(0), Some(7)] {
        for error in calls_meet(Fault::RateLimited { retry_after }).await {
            assert_eq!(kind(&error), Kind::RateLimited(retry_after));
        }
    }
}

const SHAPES: [ErrorShape; 2] = [ErrorShape::OAuth, ErrorShape::Api];

#[tokio::test]
async fn refusal_is_read_in_both_shapes() {
    for shape in SHAPES {
        for (status, code) in [
            (400, "invalid_grant"),
            (401, "invalid_client"),
            (400, "unauthorized_client"),
            (403, "restricted_resource"),
        ] {
            let refuse = Fault::Refuse {
                status,
                code: code.to_owned(),
                shape,
            };
            for error in calls_meet(refuse).await {
                assert_eq!(kind(&error), Kind::Refused(status, code.to_owned()));
                let refusal = error.refusal().expect("a refusal");
                let description = refusal.description.as_deref().expect("a description");
                assert!(description.contains("scripted to refuse"), "{description}");
                assert!(refusal.request_id.is_some());
                assert!(error.to_string().contains(code), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn refusals_of_the_mock_server_are_read_in_both_shapes() {
    for shape in SHAPES {
        let notion = start(MockNotion::builder().error_shape(shape)).await;
        let exchanged = flow(&notion).exchange_code("never-issued").await;
        fails(exchanged, &Kind::Refused(400, "invalid_grant".to_owned()));

        let app = app_of(&notion).client_secret("another");
        let flow = built(provider(app));
        let refreshed = call(&flow, "refresh").await;
        fails(refreshed, &Kind::Refused(401, "invalid_client".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn error_status_without_an_error_in_the_body_is_ambiguous() {
    for body in [
        json!({}),
        json!({"error": null}),
        json!({"error": ""}),
        json!({"error": "Bad Request"}),
        json!({"error": {"code": "invalid_grant"}}),
        json!({"error": "a".repeat(65)}),
        json!({"code": "invalid_grant"}),
        json!({"object": "page", "code": "invalid_grant"}),
        json!({"object": "error"}),
        json!({"object": "error", "code": 7}),
        json!(["invalid_grant"]),
        json!("invalid_grant"),
        token_answer(),
    ] {
        for status in [400, 401, 403, 418] {
            let flow = Wire::json(status, &body).flow(app());
            fails(call(&flow, "exchange").await, &Kind::Ambiguous);
        }
        let flow = Wire::json(404, &body).flow(app());
        fails(call(&flow, "exchange").await, &Kind::Configuration);
    }
}

#[tokio::test(start_paused = true)]
async fn error_in_the_body_of_any_other_status_is_ambiguous() {
    for status in [200, 408, 500, 502, 503, 504, 529, 599] {
        let flow = Wire::json(status, &json!({"error": "invalid_grant"})).flow(app());
        fails(call(&flow, "exchange").await, &Kind::Ambiguous);
    }
}
