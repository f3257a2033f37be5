//! The callback, loaded more than once.

use crate::stage::Stage;

#[tokio::test]
async fn the_callback_loaded_again_and_reloaded_shows_the_connection_and_exchanges_nothing() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    ann.begin().await;
    let callback = ann.callback("Acme").await;
    ann.follow(&callback).await;
    ann.sees("Your workspace is connected.").await;

    ann.go(&callback).await;
    ann.sees("Connected to Acme").await;
    ann.browser.refresh().await.expect("the page loads again");
    ann.sees("Connected to Acme").await;

    ann.click("//a[.='Continue']").await;
    ann.sees_connection("Acme").await;
}

#[tokio::test]
async fn the_back_button_and_a_second_consent_leave_the_connection_as_it_is() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    ann.begin().await;
    ann.allow("Acme").await;
    ann.sees_connection("Acme").await;

    ann.browser.back().await.expect("there is a page before");
    ann.allow("Globex").await;

    ann.sees("Connected to Acme").await;
    ann.click("//a[.='Continue']").await;
    ann.sees_connection("Acme").await;
}

#[tokio::test]
async fn a_double_click_on_allow_connects() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    ann.begin().await;
    ann.allow_by_double_click("Acme").await;

    ann.sees("Acme").await;
    ann.open("/").await;
    ann.sees_connection("Acme").await;
}

/// What a double click comes to where the browser does not give up the first load for the second.
#[tokio::test]
async fn the_callback_loaded_twice_at_once_connects_once_and_both_show_it() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    ann.begin().await;
    let callback = ann.callback("Acme").await;

    let first = ann.browser.window().await.expect("a tab");
    // The second one has its parameters in another order: for one and the same address the browser
    // would wait with the second load.
    let load_both = "const [path, query] = arguments[0].split('?');
        window.open(`${path}?${query}`);
        window.open(`${path}?${query.split('&').reverse().join('&')}`);";
    ann.run(load_both, &callback).await;

    let tabs = ann.browser.windows().await.expect("the tabs");
    assert_eq!(tabs.len(), 3, "the page at Notion, and two callbacks");
    for tab in tabs.into_iter().filter(|tab| *tab != first) {
        let switched = ann.browser.switch_to_window(tab).await;
        switched.expect("the tab is there");
        ann.sees("Acme").await;
    }
    ann.open("/").await;
    ann.sees_connection("Acme").await;
}
