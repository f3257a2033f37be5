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
async fn a_second_visitor_with_the_first_ones_callback_link_connects_nothing_for_either() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    let bob = stage.visitor("Bob").await;
    ann.begin().await;
    let callback = ann.callback("Acme").await;
    // He has begun one too, so his browser has a flow, and it is another one.
    bob.begin().await;

    bob.follow(&callback).await;

    bob.sees("This link belongs to no connection that was begun in this browser.")
        .await;
    bob.open("/").await;
    bob.sees_no_connection().await;
    ann.open("/").await;
    ann.sees_no_connection().await;

    // Nor is it used up: it is still hers.
    ann.go(&callback).await;
    ann.sees_connection("Acme").await;
    bob.open("/").await;
    bob.sees_no_connection().await;
}

#[tokio::test]
async fn a_flow_is_not_completed_for_who_has_signed_in_meanwhile_in_the_same_browser() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    ann.begin().await;
    let callback = ann.callback("Acme").await;
    ann.open("/").await;
    ann.click("//button[.='Sign out']").await;
    let bob = ann;
    bob.sign_in("Bob").await;

    bob.go(&callback).await;

    bob.sees("This connection was begun by somebody else.")
        .await;
    bob.open("/").await;
    bob.sees_no_connection().await;
}
