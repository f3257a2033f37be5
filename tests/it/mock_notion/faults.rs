//! Scripted faults before and after the server commits a refresh.

use std::{pin::pin, time::Duration};

use notion_auth::testing::notion::{Call, Fault, MockNotion, Outcome};
use serde_json::{Value, json};
use tokio::{
    task::yield_now,
    time::{Instant, sleep, timeout},
};

use super::{
    Answer, BOTH, Broken, Via, api, exchange, granted, me, me_request, refresh, refresh_request,
    refresh_token, send,
};

const SHORT: Duration = Duration::from_millis(1);

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn faults_before_the_commit_leave_the_refresh_token_unspent() {
    let retry_after = Some(7);
    let elsewhere = "https://elsewhere.example/".to_owned();
    let faults = [
        (Fault::refuse(400, "invalid_grant"), "400 invalid_grant"),
        (Fault::RateLimited { retry_after }, "429 rate_limited"),
        (Fault::StatusBefore(503), "503 service_unavailable"),
        (Fault::StatusBefore(529), "529 service_overload"),
        (Fault::StatusBefore(7), "500 internal_server_error"),
        (Fault::Blocked, "403 html"),
        (Fault::Redirect(elsewhere), "307 "),
        (Fault::DropBefore, "no answer"),
        (Fault::HangBefore, "nothing"),
        (Fault::after_delay(SHORT, Fault::DropBefore), "no answer"),
    ];
    for (fault, expected) in faults {
        assert_refresh_meets(fault, expected, true).await;
    }
}

#[tokio::test]
async fn faults_after_the_commit_leave_the_refresh_token_spent() {
    let faults = [
        (Fault::StatusAfter(500), "500 internal_server_error"),
        (Fault::DropAfter, "no answer"),
        (Fault::HangAfter, "nothing"),
        (Fault::Truncated, "200 broken off"),
        (Fault::Oversized(100_000), "200 of 100000"),
        (Fault::Gzip, "200 gzip"),
        (Fault::Members(json!({"token_type": "mac"})), "200 right"),
        (Fault::Members(json!([])), "200 "),
        (Fault::WrongJson, "200 wrong"),
        (Fault::Html, "200 html"),
        (Fault::None, "200 right"),
        (Fault::Delay(SHORT), "200 right"),
        (Fault::DelayAfter(SHORT), "200 right"),
        (Fault::after_delay(SHORT, Fault::DropAfter), "no answer"),
    ];
    for (fault, expected) in faults {
        assert_refresh_meets(fault, expected, false).await;
    }
}

async fn assert_refresh_meets(fault: Fault, expected: &str, is_unspent: bool) {
    for via in BOTH {
        let context = format!("{fault:?} {via:?}");
        let notion = MockNotion::start().await.unwrap();
        let grant = notion.grant();
        let token = refresh_token(&grant);
        notion.script(Call::Refresh, [fault.clone()]);
        let call = send(&notion, via, refresh_request(&notion, token));
        let answer = if expected == "nothing" {
            unless_received(&notion, via, call).await
        } else {
            Some(call.await)
        };
        assert_eq!(describe(answer.as_ref()), expected, "{context}");
        let ledger = notion.ledger();
        assert_eq!(ledger.is_refresh_token_live(token), is_unspent, "{context}");
        let seen = ledger.refreshes().remove(0);
        let is_whole = expected.starts_with(char::is_numeric) && !expected.contains("broken");
        assert_eq!(seen.answered, is_whole, "{context}");
        let is_accepted = seen.outcome == Outcome::Accepted;
        assert_eq!(is_accepted, !is_unspent, "{context}");
    }
}

fn describe(answer: Option<&Result<Answer, Broken>>) -> String {
    match answer {
        None => "nothing".to_owned(),
        Some(Err(Broken::NoAnswer)) => "no answer".to_owned(),
        Some(Err(Broken::InTheBody(status))) => format!("{} broken off", status.as_u16()),
        Some(Ok(answer)) => {
            let what = match &answer.json {
                _ if answer.body.len() == 100_000 => "of 100000",
                Value::Null if answer.body.starts_with("\u{1f}") => "gzip",
                Value::Null if answer.body.starts_with("<!doctype html>") => "html",
                json if json["access_token"].is_string() => "right",
                json if json["object"] == "unexpected" => "wrong",
                json => json["error"].as_str().unwrap_or_default(),
            };
            format!("{} {what}", answer.status.as_u16())
        }
    }
}

/// Drops the call without a response, after the server has received it and answered a later call.
async fn unless_received<T>(
    notion: &MockNotion,
    via: Via,
    call: impl Future<Output = T>,
) -> Option<T> {
    let later = async {
        while notion.ledger().refreshes().is_empty() {
            yield_now().await;
        }
        let later = send(notion, via, me_request("ntn_never_issued")).await;
        later.unwrap().is_error(401, "unauthorized");
    };
    let call = pin!(call);
    tokio::select! {
        biased;
        answer = call => Some(answer),
        () = later => None,
    }
}

#[tokio::test]
async fn client_that_disconnects_during_a_delay_has_spent_nothing() {
    for via in BOTH {
        let notion = MockNotion::start().await.unwrap();
        let grant = notion.grant();
        notion.script(Call::Refresh, [Fault::Delay(HOUR)]);
        let call = send(
            &notion,
            via,
            refresh_request(&notion, refresh_token(&grant)),
        );
        assert!(unless_received(&notion, via, call).await.is_none());
        let first = notion.ledger().refreshes().remove(0);
        assert_eq!(first.outcome, Outcome::Undecided, "{via:?}");
        refresh(&notion, refresh_token(&grant)).await.ok();
    }
}

#[tokio::test(start_paused = true)]
async fn call_that_is_dropped_during_a_delay_stays_undecided_after_it() {
    let notion = MockNotion::builder().token_delay(HOUR).in_process();
    let grant = notion.grant();
    let call = timeout(HOUR / 2, refresh(&notion, refresh_token(&grant)));
    assert!(call.await.is_err());
    sleep(HOUR).await;
    let ledger = notion.ledger();
    assert!(ledger.is_refresh_token_live(refresh_token(&grant)));
    assert_eq!(ledger.refreshes()[0].outcome, Outcome::Undecided);
}

#[tokio::test(start_paused = true)]
async fn delays_in_process_follow_the_paused_clock() {
    let notion = MockNotion::builder().token_delay(HOUR).in_process();
    let grant = notion.grant();
    notion.script(Call::Refresh, [Fault::Delay(Duration::from_secs(60))]);
    let start = Instant::now();
    refresh(&notion, refresh_token(&grant)).await.ok();
    assert_eq!(start.elapsed().as_secs(), 3660);
}

#[tokio::test(start_paused = true)]
async fn delay_after_the_commit_spends_the_token_before_it_answers() {
    let (notion, grant) = granted();
    notion.script(Call::Refresh, [Fault::DelayAfter(HOUR)]);
    let start = Instant::now();
    let call = refresh(&notion, refresh_token(&grant));
    let watch = async {
        sleep(HOUR / 2).await;
        notion.ledger()
    };
    let (answer, during) = tokio::join!(call, watch);
    answer.ok();
    assert_eq!(start.elapsed(), HOUR);
    assert!(!during.is_refresh_token_live(refresh_token(&grant)));
    let seen = during.refreshes().remove(0);
    assert_eq!((seen.outcome, seen.answered), (Outcome::Accepted, false));
}

#[tokio::test]
async fn members_of_an_answer_are_added_or_replaced() {
    let (notion, grant) = granted();
    let members = json!({"refresh_token": null, "expires_in": "soon"});
    notion.script(Call::Refresh, [Fault::Members(members)]);
    let answer = refresh(&notion, refresh_token(&grant)).await.ok();
    assert_eq!(answer.json["expires_in"], "soon");
    assert!(answer.json["refresh_token"].is_null());
    let ledger = notion.ledger();
    assert!(ledger.is_access_token_live(answer.access_token()));
}

#[tokio::test]
async fn faults_send_the_headers_that_clients_act_on() {
    let (notion, grant) = granted();
    let elsewhere = "https://elsewhere.example/";
    let faults = [Some(7), None].map(|retry_after| Fault::RateLimited { retry_after });
    notion.script(Call::Api, faults);
    notion.script(
        Call::Api,
        [Fault::Blocked, Fault::Redirect(elsewhere.to_owned())],
    );
    let me = async || me(&notion, grant.access_token()).await;
    let limited = me().await;
    assert_eq!(limited.headers["retry-after"], "7");
    assert_eq!(limited.json["object"], "error");
    assert!(!me().await.headers.contains_key("retry-after"));
    assert!(me().await.headers.contains_key("cf-ray"));
    assert_eq!(me().await.location(), elsewhere);
}

#[tokio::test]
async fn page_that_was_created_before_a_503_exists() {
    let (notion, grant) = granted();
    notion.script(Call::Api, [Fault::StatusAfter(503)]);
    let page = json!({ "parent": { "type": "workspace" }, "properties": {} });
    let created = api(&notion, &grant, "POST", "/v1/pages", page).await;
    created.is_error(503, "service_unavailable");
    let found = api(&notion, &grant, "POST", "/v1/search", json!({})).await;
    assert_eq!(found.ok().json["results"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn scripted_faults_are_used_in_order_and_before_permanent_ones() {
    let (notion, grant) = granted();
    notion.always(Call::Token, Some(Fault::StatusBefore(502)));
    notion.always(Call::Refresh, Some(Fault::StatusBefore(504)));
    notion.script(Call::TokenExchange, [Fault::StatusBefore(500)]);
    notion.script(Call::Token, [Fault::StatusBefore(503), Fault::None]);
    for expected in [503, 400, 504] {
        let answer = refresh(&notion, "nrt_never_issued").await;
        assert_eq!(answer.status, expected);
    }
    for expected in [500, 502] {
        let answer = exchange(&notion, "unknown", None).await;
        assert_eq!(answer.status, expected);
    }
    me(&notion, grant.access_token()).await.ok();
    notion.always(Call::Token, None);
    notion.always(Call::Refresh, None);
    refresh(&notion, refresh_token(&grant)).await.ok();
}
