//! What pages of other sites, prefetches and embeds can cause.

use crate::stage::Stage;

#[tokio::test]
async fn start_from_another_site_asks_the_visitor_first() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    ann.begin().await;
    // The page of the mock is of another site.
    ann.follow(&ann.address("/notion/authorize")).await;

    ann.sees("Another site or app has sent you here.").await;
    ann.click("//a[.='Continue to Notion']").await;
    ann.allow("Acme").await;
    ann.sees_connection("Acme").await;
}

#[tokio::test]
async fn form_of_another_site_signs_nobody_in() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    for path in ["/sign-in", "/sign-out"] {
        ann.begin().await;
        let post = "const form = document.createElement('form');
            form.method = 'post';
            form.action = arguments[0];
            form.innerHTML = '<input name=name value=Mallory>';
            document.body.append(form);
            form.submit();";
        ann.run(post, &ann.address(path)).await;
        ann.find("//pre[contains(., 'must be sent from a page of this site')]")
            .await;
        ann.open("/").await;
        ann.find("//header[contains(., 'Ann')]").await;
    }
}

#[tokio::test]
async fn prefetches_and_embeds_start_no_flow() {
    let Some(stage) = Stage::set() else { return };
    let ann = stage.visitor("Ann").await;
    for element in [
        "<link rel=prefetch href=/notion/authorize>",
        "<img src=/notion/authorize>",
        "<iframe src=/notion/authorize></iframe>",
        "<embed src=/notion/authorize>",
    ] {
        let embed = "const [html, done] = arguments;
            const holder = document.createElement('div');
            holder.innerHTML = html;
            const element = holder.firstChild;
            element.onload = element.onerror = done;
            document.body.append(element);";
        ann.run_until_done(embed, element).await;
    }
    let fetch = "const [path, done] = arguments;
        fetch(path, {redirect: 'manual'}).finally(done);";
    ann.run_until_done(fetch, "/notion/authorize").await;
    assert_eq!(ann.flows().await, 0);
    // The same address, opened by the visitor.
    ann.begin().await;
    assert_eq!(ann.flows().await, 1);
}
