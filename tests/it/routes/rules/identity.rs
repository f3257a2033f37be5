//! Rules 12 and 13: who connects, and where the client secret goes.

use http::StatusCode;
use notion_auth::{Event, testing::MockNotion};

use super::super::site::Site;

#[tokio::test(start_paused = true)]
async fn rule_12_a_changed_identity_is_told_and_what_is_refused_is_revoked() {
    let site = Site::with(MockNotion::builder(), |builder| {
        builder.refuse_another_identity()
    });
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "Acme").await;
    let refused = ann.connect(&site.notion, "Beta").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let revoked = site.revoked();
    assert_eq!(revoked.len(), 2, "access and refresh token");
    for token in &revoked {
        assert!(!site.notion.ledger().is_access_token_live(token));
        assert!(!site.notion.ledger().is_refresh_token_live(token));
    }
    assert!(site.events.lock().unwrap().iter().any(|event| matches!(
        event,
        Event::IdentityChanged {
            is_refused: true,
            ..
        }
    )));
    let stored = site.provider.load_credentials(&"ann".into()).await;
    let stored = stored.expect("an answer").expect("a connection");
    assert_eq!(stored.workspace_name.as_deref(), Some("Acme"));
    let token = stored.access_token.expose();
    assert!(site.notion.ledger().is_access_token_live(token));
}

#[tokio::test(start_paused = true)]
async fn rule_12_another_user_and_another_workspace_are_each_a_change() {
    let site = Site::new();
    let subject = notion_auth::Subject::new("ann");
    let first = site.notion.connect();
    let changed = |workspace: bool| {
        let mut credentials = first.clone();
        if workspace {
            credentials.workspace_id = Some("another".to_owned());
        } else {
            credentials
                .raw
                .insert("bot_id".to_owned(), "another".into());
        }
        credentials
    };
    let changes = |site: &Site| {
        let events = site.events.lock().unwrap();
        let changes = events.iter();
        let changes = changes.filter(|it| matches!(it, Event::IdentityChanged { .. }));
        changes.count()
    };
    for (credentials, count) in [
        (first.clone(), 0),
        (first.clone(), 0),
        (changed(true), 1),
        (first.clone(), 2),
        (changed(false), 3),
    ] {
        let stored = site.provider.store_credentials(&subject, credentials).await;
        stored.expect("the store answers");
        assert_eq!(changes(&site), count);
    }
}

#[test]
fn rule_13_the_client_secret_goes_over_tls_or_nowhere_else_than_this_machine() {
    use notion_auth::{NotionAppCredentials, NotionAuthProvider};

    for url in [
        "http://api.notion.com/v1/oauth/token",
        "ftp://127.0.0.1/",
        "http://10.0.0.1/",
    ] {
        let builder = NotionAppCredentials::builder()
            .client_id("id")
            .client_secret("secret");
        assert!(builder.token_url(url).build().is_err(), "{url}");
        let builder = NotionAppCredentials::builder()
            .client_id("id")
            .client_secret("secret");
        assert!(builder.authorization_url(url).build().is_err(), "{url}");
        let app = || {
            let builder = NotionAppCredentials::builder()
                .client_id("id")
                .client_secret("secret");
            builder.build().expect("an app")
        };
        assert!(
            NotionAuthProvider::builder()
                .app(app())
                .revoke_url(url)
                .build()
                .is_err()
        );
        assert!(
            NotionAuthProvider::builder()
                .app(app())
                .introspect_url(url)
                .build()
                .is_err()
        );
    }
}
