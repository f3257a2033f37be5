//! A visitor connects, does not, and disconnects.

use crate::stage::Stage;

#[tokio::test]
async fn a_visitor_connects_and_sees_the_workspace_and_the_apis_answer() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    ann.sees_no_connection().await;

    ann.begin().await;
    ann.allow("Acme").await;

    ann.sees("Your workspace is connected.").await;
    ann.sees_connection("Acme").await;
    // It is the visitor's, and not the page's.
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
async fn a_denial_leaves_the_connection_that_there_is() {
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
async fn a_visitor_disconnects_and_can_connect_another_workspace() {
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
