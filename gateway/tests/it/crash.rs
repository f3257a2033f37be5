//! The program is killed between what Notion does and what it saves.

use std::time::Duration;

use http::StatusCode;
use notion_auth::integrations::sqlx::{Connection as _, SqliteConnection};
use notion_auth::testing::notion::{Call, Fault, Outcome};

use super::{
    ask::Answer,
    program::{ANN, BOB, Gateway},
    wait::{eventually, soon},
};

/// Longer than a lease, and than its holder may still try to commit.
const AWHILE: Duration = Duration::from_secs(10 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_refreshes_it_refreshes_again_or_says_connect_again() {
    let mut gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    gateway.connect(BOB).await;
    let ann = gateway.bot(ANN).await;
    gateway.revoke_the_last_token();
    let bob = gateway.bot(BOB).await;
    gateway.revoke_the_last_token();
    assert_ne!(ann, bob);

    // Of Ann's refresh Notion has done nothing when the program dies; of Bob's it has done all.
    let outcome_of = |bot: &str| {
        let refresh = gateway.notion.ledger().refreshes_of(bot).pop();
        refresh.map(|refresh| refresh.outcome)
    };
    gateway.notion.script(Call::Refresh, [Fault::HangBefore]);
    let anns = tokio::spawn(gateway.me(ANN).try_send());
    eventually(|| outcome_of(&ann) == Some(Outcome::Undecided)).await;
    gateway.notion.script(Call::Refresh, [Fault::HangAfter]);
    let bobs = tokio::spawn(gateway.me(BOB).try_send());
    eventually(|| outcome_of(&bob) == Some(Outcome::Accepted)).await;
    gateway.process.kill();
    for asked in [anns, bobs] {
        assert!(soon(asked).await.expect("no panic").is_none());
    }

    pass(&gateway, AWHILE).await;
    gateway.restart_with(&[]);
    let (anns, bobs) = tokio::join!(settled(&gateway, ANN), settled(&gateway, BOB));
    assert_eq!(anns.status, StatusCode::OK, "{anns:?}");
    assert_eq!(anns.json()["id"], *ann);
    assert_eq!(bobs.status, StatusCode::UNAUTHORIZED, "{bobs:?}");
    assert_eq!(gateway.bot(ANN).await, ann);

    // The mock has another user for each consent, who takes no one's place without a disconnect.
    gateway.disconnect(BOB).await;
    gateway.connect(BOB).await;
    assert_ne!(gateway.bot(BOB).await, ann);
    assert_eq!(gateway.bot(ANN).await, ann);
    let ledger = gateway.notion.ledger();
    assert_eq!(ledger.refreshes_of(&ann).len(), 2);
    assert_eq!(ledger.refreshes_of(&bob).len(), 2);
}

/// Makes the leases in the database so much older.
async fn pass(gateway: &Gateway, time: Duration) {
    let file = gateway.directory.path().join("gateway.db");
    let url = format!("sqlite://{}", file.display());
    let mut database = SqliteConnection::connect(&url).await.expect("a database");
    let micros = i64::try_from(time.as_micros()).expect("not so long");
    let older = notion_auth::integrations::sqlx::query(
        "UPDATE credentials SET bytes = CAST(json_set(CAST(bytes AS TEXT), '$.lease.since', \
         json_extract(CAST(bytes AS TEXT), '$.lease.since') - ?1) AS BLOB) \
         WHERE json_extract(CAST(bytes AS TEXT), '$.lease') IS NOT NULL",
    )
    .bind(micros)
    .execute(&mut database)
    .await
    .expect("it is ours");
    assert_eq!(older.rows_affected(), 2);
    database.close().await.expect("it is written");
}

/// Returns the first answer that is not 503: the new process must see a lease unchanged for 12 seconds before it takes
/// it over.
async fn settled(gateway: &Gateway, key: &str) -> Answer {
    soon(async {
        loop {
            let answer = gateway.me(key).send().await;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
}
