//! Rule 15: secrets are not shown.

use http::Method;
use notion_auth::{testing::notion::Call, testing::notion::Fault};

use super::super::site::{HTML, JSON, Site};
use crate::secrets::Readable;

#[tokio::test(start_paused = true)]
async fn rule_15_no_answer_event_cookie_or_log_shows_a_secret() {
    let readable = Readable::default();
    let _guard = readable.collect_logs();
    let site = Site::new();
    let mut ann = site.browser("ann");
    let mut secrets = Vec::new();
    let refusal = Fault::refuse(400, "invalid_grant");
    site.notion.script(Call::TokenExchange, [refusal]);
    for round in ["a refused exchange", "a connection"] {
        let begun = ann.get("/notion/authorize").await;
        readable.debug(&begun.head);
        let callback = site.notion.consent(begun.location()).expect("a callback");
        let url = url::Url::parse(&callback).expect("a URL");
        let parameter = |name: &str| {
            let found = url.query_pairs().find(|(it, _)| it == name);
            found.expect("there").1.into_owned()
        };
        let (code, state) = (parameter("code"), parameter("state"));
        let mut foreign = ann.clone();
        foreign.subject = Some("ben".into());
        let url = format!("/notion/callback?error=no%20{state}&code={code}&state={state}");
        for accept in [HTML, JSON] {
            let accept = [("accept", accept)];
            let seen = [
                foreign.send(Method::GET, &callback, &accept).await,
                ann.clone().send(Method::GET, &url, &accept).await,
                ann.send(Method::GET, &callback, &accept).await,
                ann.send(Method::GET, "/notion/status", &accept).await,
            ];
            for seen in &seen {
                readable.debug(&seen.head);
                readable.write(seen.text.as_bytes());
            }
        }
        secrets.push((round, code));
        secrets.push((round, state));
    }
    readable.debug(&site.events.lock().unwrap());
    readable.debug(&site.routes);
    let stored = site.provider.load_credentials(&"ann".into()).await;
    let stored = stored.expect("an answer").expect("a connection");
    secrets.push(("access token", stored.access_token.expose().to_owned()));
    let refresh_token = stored.refresh_token.as_ref().expect("one");
    secrets.push(("refresh token", refresh_token.expose().to_owned()));
    let secrets: Vec<_> = secrets
        .iter()
        .map(|(name, it)| (*name, it.as_str()))
        .collect();
    readable.assert_free_of(&secrets);
}
