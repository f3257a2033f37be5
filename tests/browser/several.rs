//! Several tabs, and several visitors.

use crate::stage::Stage;

#[tokio::test]
async fn two_tabs_at_once_both_complete() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    let first = ann.browser.window().await.expect("a tab");
    let second = ann.browser.new_window(true).await.expect("a tab").handle;
    ann.begin().await;
    ann.browser
        .switch_to_window(second)
        .await
        .expect("the tab is there");
    ann.open("/").await;
    ann.begin().await;

    ann.allow("Globex").await;
    ann.sees("Your workspace is connected.").await;
    ann.sees_connection("Globex").await;

    ann.browser
        .switch_to_window(first)
        .await
        .expect("the tab is there");
    ann.allow("Acme").await;
    ann.sees("Your workspace is connected.").await;
    ann.sees_connection("Acme").await;
}

#[tokio::test]
async fn callback_link_of_another_visitor_connects_nothing() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    let bob = stage.visitor("Bob").await;
    ann.begin().await;
    let callback = ann.callback("Acme").await;
    // So that his browser has a flow, but another one.
    bob.begin().await;

    bob.follow(&callback).await;

    bob.sees("This link is not valid in this browser.").await;
    bob.open("/").await;
    bob.sees_no_connection().await;
    ann.open("/").await;
    ann.sees_no_connection().await;

    // The flow is not used up, and she can complete it.
    ann.go(&callback).await;
    ann.sees_connection("Acme").await;
    bob.open("/").await;
    bob.sees_no_connection().await;
}

#[tokio::test]
async fn flow_is_not_completed_after_another_visitor_signed_in() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    ann.begin().await;
    let callback = ann.callback("Acme").await;
    ann.open("/").await;
    ann.click("//button[.='Sign out']").await;
    let bob = ann;
    bob.sign_in("Bob").await;

    bob.go(&callback).await;

    bob.sees("You are signed in with another account than when you started.")
        .await;
    bob.open("/").await;
    bob.sees_no_connection().await;
}
