//! A callback that is loaded more than once.

use crate::stage::Stage;

#[tokio::test]
async fn callback_loaded_again_shows_the_connection_and_exchanges_nothing() {
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
async fn second_consent_by_the_back_button_leaves_the_connection_as_it_is() {
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

/// A double click in a browser that doesn't cancel the first load.
#[tokio::test]
async fn callback_loaded_twice_at_once_connects_once_and_both_show_it() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    ann.begin().await;
    let callback = ann.callback("Acme").await;

    let first = ann.browser.window().await.expect("a tab");
    // In another order, because the browser loads the same address one after the other.
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
