//! The command `demo`.

use http::StatusCode;

use super::{ask, program::command, visitors::target, wait::eventually};
use crate::{process::Process, servers::port};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_prints_a_page_to_connect_and_a_call_that_works_then() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = port::free().to_string();
    let mut program = command(directory.path());
    program
        .arg("demo")
        .env("GATEWAY_LISTEN", format!("127.0.0.1:{port}"));
    let (process, url) = Process::start(&mut program, "Listening on ");
    eventually(|| process.said().contains("Listening on ")).await;
    let said = process.said();
    let after = |words: &str| {
        let (_, rest) = said.split_once(words).expect("it is said");
        rest.split(['\'', '\n', ' '])
            .next()
            .expect("a word")
            .to_owned()
    };
    let (connecting, calling) = (
        after("sign in with the key "),
        after("Authorization: Bearer "),
    );
    let page = after("Workspaces are connected at ");
    assert_eq!(page, format!("{url}/connect"));
    let me = said
        .lines()
        .find_map(|line| line.rsplit_once("2026-03-11' "))
        .expect("a line")
        .1;

    let (_, line) = said.split_once("curl -X POST ").expect("a line");
    let (_, service) = line.split_once("Bearer ").expect("a key");
    let (service, _) = service.split_once('\'').expect("its end");
    let link = ask::post(&format!("{page}/links"))
        .bearer(service)
        .header("notion-auth-subject", "customer-7")
        .send()
        .await;
    let link = ask::get(link.json()["url"].as_str().expect("a URL"));
    assert!(link.send().await.text().contains("customer-7"));
    let (_, line) = line.split_once("curl ").expect("a call for the customer");
    let (_, calling_for_all) = line.split_once("Bearer ").expect("a key");
    let (calling_for_all, _) = calling_for_all.split_once('\'').expect("its end");
    let answer = ask::get(me)
        .bearer(calling_for_all)
        .header("notion-auth-subject", "customer-7")
        .send()
        .await;
    assert_eq!(answer.header("notion-auth-error"), "not_connected");

    let before = ask::get(me).bearer(&calling).send().await;
    assert_eq!(before.status, StatusCode::UNAUTHORIZED);
    let signed_in = ask::post(&format!("{page}/sign-in"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", &url)
        .body(format!("key={connecting}"))
        .send()
        .await;
    let begun = ask::get(&target(&url, signed_in.cookie(), "authorize").await)
        .header("cookie", signed_in.cookie())
        .send()
        .await;
    // The mock's page asks, as Notion's does.
    let asked = begun.header("location");
    let (notion, rest) = asked.split_once("/v1/").expect("a path");
    let (_, query) = rest.split_once('?').expect("a query");
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("query", query),
        ("workspace", "Acme"),
        ("decision", "allow"),
    ]);
    let consented = ask::post(&format!("{notion}/v1/oauth/authorize/decision"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.finish())
        .send()
        .await;
    let back = consented.header("location").to_owned();
    let done = ask::get(&back)
        .header(
            "cookie",
            &format!("{}; {}", signed_in.cookie(), begun.cookie()),
        )
        .send()
        .await;
    assert!(
        done.header("location").contains("notion=connected"),
        "{done:?}"
    );
    let after = ask::get(me)
        .bearer(&calling)
        .header("notion-version", "2026-03-11")
        .send()
        .await;
    assert_eq!(after.status, StatusCode::OK, "{after:?}");
    assert_eq!(
        std::fs::read_dir(directory.path())
            .expect("it is there")
            .count(),
        0
    );
}
