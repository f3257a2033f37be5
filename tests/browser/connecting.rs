//! Connecting, denying and disconnecting.

use crate::stage::Stage;

#[tokio::test]
async fn visitor_connects_and_sees_the_workspace_and_the_answer_of_the_api() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    ann.sees_no_connection().await;

    ann.begin().await;
    ann.allow("Acme").await;

    ann.sees("Your workspace is connected.").await;
    ann.sees_connection("Acme").await;
    // It is not only on that page.
    ann.open("/").await;
    ann.sees_connection("Acme").await;
}

#[tokio::test]
async fn denying_visitor_sees_it_and_can_start_again() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    ann.begin().await;
    ann.deny().await;

    ann.sees("You did not allow the connection.").await;
    ann.click("//a[.='Back']").await;
    ann.sees_no_connection().await;

    ann.begin().await;
    ann.deny().await;
    ann.click("//a[.='Start again']").await;
    ann.allow("Acme").await;
    ann.sees_connection("Acme").await;
}

#[tokio::test]
async fn denial_leaves_the_connection_as_it_is() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    ann.begin().await;
    ann.allow("Acme").await;
    ann.sees_connection("Acme").await;

    ann.open("/notion/authorize").await;
    ann.deny().await;

    ann.sees("You did not allow the connection.").await;
    ann.click("//a[.='Back']").await;
    ann.sees_connection("Acme").await;
}

#[tokio::test]
async fn visitor_disconnects_and_connects_another_workspace() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    ann.begin().await;
    ann.allow("Acme").await;
    ann.sees_connection("Acme").await;

    ann.click("//button[@id='disconnect']").await;

    ann.sees("Your workspace is disconnected.").await;
    ann.sees_no_connection().await;
    ann.open("/").await;
    ann.sees_no_connection().await;

    ann.begin().await;
    ann.allow("Globex").await;
    ann.sees_connection("Globex").await;
}
