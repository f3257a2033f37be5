//! Responses that show that the URL is wrong change nothing.

use std::time::Duration;

use notion_auth::{
    AccessToken, Event,
    oauth::OAuthError,
    testing::notion::{Call, Fault},
};
use tokio::time::sleep;

use super::arrival::{Scene, cause};
use crate::secrets::Readable;

/// Returns responses of servers that are not the token endpoint.
fn elsewhere() -> [Fault; 4] {
    [
        Fault::Redirect("https://elsewhere.example/token".to_owned()),
        Fault::StatusBefore(404),
        Fault::StatusBefore(405),
        // Notion's response for an unknown path.
        Fault::refuse(400, "invalid_request_url"),
    ]
}

#[tokio::test(start_paused = true)]
async fn refresh_at_a_wrong_url_changes_nothing_and_names_the_setting() {
    for fault in elsewhere() {
        let readable = Readable::default();
        let _guard = readable.collect_logs();
        let scene = Scene::connected().await;
        scene.refuse().await;
        let before = scene.record().await;
        scene.script([fault.clone()]);
        let error = scene.request().await.unwrap_err();
        assert!(error.is_configuration(), "{error}");
        assert!(
            error.to_string().contains("token_url (NOTION_TOKEN_URL)"),
            "{error}"
        );
        assert!(cause(&error).to_string().contains("status "), "{error}");
        readable.assert_says("NOTION_TOKEN_URL");
        let failed = Event::RefreshFailed {
            subject: scene.ann.clone(),
            lineage: scene.lineage().await,
            generation: 1,
        };
        assert!(scene.events().contains(&failed), "{fault:?}");

        let after = scene.record().await;
        for (name, value) in before.as_object().unwrap() {
            assert_eq!(after.get(name), Some(value), "{fault:?}: {name}");
        }
        assert!(
            after["lease"].is_null() && after["back_off_until"].is_null(),
            "{fault:?}"
        );
        // The setting was corrected.
        sleep(Duration::from_secs(6)).await;
        assert_eq!(scene.request().await.unwrap(), 200, "{fault:?}");
        assert_eq!(scene.refreshes(), 2, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn attempt_in_doubt_stays_so_at_a_wrong_url() {
    for fault in elsewhere() {
        let scene = Scene::connected().await;
        scene.refuse().await;
        scene.script([Fault::DropBefore, fault.clone()]);
        let request = tokio::spawn({
            let (client, get) = (scene.world.client(), scene.world.get("ann"));
            async move { crate::support::send(client, get).await }
        });
        // The first call, and the replay at most 10 seconds later.
        sleep(Duration::from_secs(11)).await;
        assert_eq!(scene.refreshes(), 2, "{fault:?}");
        assert_eq!(
            scene.generation().await,
            (1, true),
            "{fault:?}: in doubt no more"
        );
        drop(request.await.unwrap());
        // The replays continue, and one of them succeeds.
        sleep(Duration::from_secs(600)).await;
        assert_eq!(scene.request().await.unwrap(), 200, "{fault:?}");
        assert_eq!(scene.generation().await, (2, false));
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_names_the_setting_of_its_url() {
    for fault in elsewhere() {
        let scene = Scene::new();
        for call in [Call::Token, Call::Revoke, Call::Introspect] {
            scene.world.notion.always(call, Some(fault.clone()));
        }
        let flow = scene.flow();
        let token = AccessToken::new("ntn_1");
        let errors: [(OAuthError, &str); 3] = [
            (
                flow.exchange_code(&scene.code()).await.unwrap_err(),
                "check token_url",
            ),
            (flow.revoke(&token).await.unwrap_err(), "check revoke_url"),
            (
                flow.introspect(&token).await.unwrap_err(),
                "check introspect_url",
            ),
        ];
        for (error, setting) in errors {
            assert!(error.is_configuration() && !error.is_ambiguous(), "{error}");
            let text = error.to_string();
            assert!(
                text.contains(setting) && text.contains("NOTION_TOKEN_URL"),
                "{text}"
            );
        }
    }
}
