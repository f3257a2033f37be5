use std::time::Duration;

use super::subject::{Tried, new};
use crate::{
    credentials::ReauthorizationReason,
    store::{
        AttemptId, Change, CredentialStore, Expected, Filter, Labels, NewRecord, Record,
        RecordState, Summary, TOMBSTONE_AGE,
    },
};

pub(super) async fn check<S: CredentialStore>(tried: &Tried<S>) {
    pages_are_in_the_byte_order_of_subjects(tried).await;
    filters_are_kept(&tried.beside("filters")).await;
    a_summary_says_what_the_record_does(&tried.beside("summary")).await;
    a_sweep_leaves_what_is_young(&tried.beside("sweep")).await;
    a_sweep_removes_old_tombstones_alone(&tried.beside("purge")).await;
}

impl<S: CredentialStore> Tried<S> {
    /// The same store, and another namespace.
    fn beside(&self, name: &str) -> Self {
        Self {
            namespace: format!("{}-{name}", self.namespace),
            ..self.clone()
        }
    }

    async fn list(&self, after: Option<&str>, limit: usize, filter: Filter) -> Vec<Summary> {
        let page = self.store.list(&self.namespace, after, limit, filter).await;
        page.expect("the store answers `list`")
    }

    async fn subjects(&self, after: Option<&str>, limit: usize, filter: Filter) -> Vec<String> {
        let page = self.list(after, limit, filter).await;
        page.into_iter()
            .map(|it| it.subject.as_str().to_owned())
            .collect()
    }
}

async fn pages_are_in_the_byte_order_of_subjects<S: CredentialStore>(tried: &Tried<S>) {
    let mut subjects = [
        "b",
        "a",
        "B",
        "",
        "aa",
        "a b",
        "é",
        "zz",
        "\u{1f389}",
        "\u{fffd}",
        "a%",
        "a_",
        "10",
        "9",
        "[",
        "(",
        "-",
        "+",
    ]
    .map(str::to_owned);
    assert!(tried.list(None, 10, Filter::All).await.is_empty());
    for subject in &subjects {
        tried.save(subject, Change::Connect).await;
    }
    tried.beside("other").save("foreign", Change::Connect).await;
    subjects.sort_unstable();
    assert_eq!(
        tried.subjects(None, 100, Filter::All).await,
        subjects,
        "subjects come in the order of their bytes"
    );
    for limit in [1, 3, subjects.len()] {
        let mut seen: Vec<String> = Vec::new();
        loop {
            let page = tried
                .subjects(seen.last().map(String::as_str), limit, Filter::All)
                .await;
            assert!(page.len() <= limit, "a page has at most {limit}");
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, subjects, "pages of {limit} leave nothing out");
    }
    assert_eq!(
        tried.subjects(Some("aZ"), 1, Filter::All).await,
        ["a_"],
        "a page may begin behind a subject that is not there"
    );
    assert!(tried.list(None, 0, Filter::All).await.is_empty());
}

async fn filters_are_kept<S: CredentialStore>(tried: &Tried<S>) {
    for (subject, bot) in [("a", "1"), ("b", "2"), ("c", "1"), ("d", "1"), ("e", "")] {
        let labels = Labels {
            workspace_name: None,
            bot_id: (!bot.is_empty()).then(|| bot.to_owned()),
        };
        let new = NewRecord {
            labels,
            ..new(Change::Connect)
        };
        tried
            .save_as(subject, new, Expected::Absent, AttemptId::random())
            .await;
    }
    tried.save("c", Change::Disconnect).await;
    let key = tried.key("d");
    let condemned =
        tried
            .store
            .condemn(&key, 1, ReauthorizationReason::Revoked, AttemptId::random());
    condemned.await.expect("the store answers `condemn`");

    let all = tried.subjects(None, 9, Filter::All).await;
    assert_eq!(all, ["a", "b", "c", "d", "e"], "tombstones too");
    assert_eq!(
        tried.subjects(None, 9, Filter::Active).await,
        ["a", "b", "e"]
    );
    assert_eq!(
        tried.subjects(Some("a"), 1, Filter::Active).await,
        ["b"],
        "a limit counts what the filter admits"
    );
    assert_eq!(tried.subjects(Some("b"), 1, Filter::Active).await, ["e"]);
    assert_eq!(
        tried.subjects(None, 9, Filter::NeedsReauthorization).await,
        ["d"]
    );
    assert_eq!(tried.subjects(None, 9, Filter::Disconnected).await, ["c"]);
    let of_bot = |bot: &str, after| tried.subjects(after, 9, Filter::Bot(bot.to_owned()));
    assert_eq!(
        of_bot("1", None).await,
        ["a", "d"],
        "a tombstone has no labels"
    );
    assert_eq!(of_bot("1", Some("a")).await, ["d"]);
    assert_eq!(of_bot("2", None).await, ["b"]);
    assert!(of_bot("3", None).await.is_empty());
}

async fn a_summary_says_what_the_record_does<S: CredentialStore>(tried: &Tried<S>) {
    let labels = Labels {
        workspace_name: Some("Acme".to_owned()),
        bot_id: Some("bot".to_owned()),
    };
    for (change, expected) in [
        (Change::Connect, Expected::Absent),
        (Change::Refresh, Expected::Generation(1)),
    ] {
        let new = NewRecord {
            labels: labels.clone(),
            ..new(change)
        };
        tried
            .save_as("ann", new, expected, AttemptId::random())
            .await;
    }
    let record = tried.record("ann").await;
    let page = tried.list(None, 1, Filter::All).await;
    let summary = page.first().expect("the record is listed");
    assert_eq!(summary.subject.as_str(), "ann");
    assert_eq!(
        (summary.generation, summary.state),
        (2, RecordState::Active)
    );
    assert_eq!(summary.labels, labels);
    assert_eq!(
        (
            summary.connected_at,
            summary.updated_at,
            summary.refreshed_at
        ),
        (record.connected_at, record.updated_at, record.refreshed_at)
    );
}

async fn a_sweep_leaves_what_is_young<S: CredentialStore>(tried: &Tried<S>) {
    tried.save("alive", Change::Connect).await;
    tried.save("dead", Change::Connect).await;
    tried.save("dead", Change::Disconnect).await;
    let swept = tried.store.sweep().await;
    swept.expect("the store answers `sweep`");
    assert_eq!(
        tried.subjects(None, 9, Filter::All).await,
        ["alive", "dead"],
        "a tombstone is kept for a day"
    );
    assert_eq!(tried.record("dead").await.generation, 2);
}

/// Records as they would be a day later, since nobody waits that long.
async fn a_sweep_removes_old_tombstones_alone<S: CredentialStore>(tried: &Tried<S>) {
    const MINUTE: Duration = Duration::from_secs(60);

    tried.save("model", Change::Connect).await;
    let model = tried.record("model").await;
    let day_ago = model.read_at - TOMBSTONE_AGE;
    for (subject, state, updated_at) in [
        ("old", RecordState::Active, day_ago - MINUTE),
        ("purged", RecordState::Disconnected, day_ago - MINUTE),
        ("young", RecordState::Disconnected, day_ago + MINUTE),
    ] {
        let record = Record {
            state,
            updated_at,
            ..model.clone()
        };
        let key = tried.key(subject);
        let replaced = tried.store.replace(&key, None, &record).await;
        assert!(replaced.expect("the store answers `replace`"));
    }
    let swept = tried.store.sweep().await;
    assert!(swept.expect("the store answers `sweep`") >= 1);
    assert_eq!(
        tried.subjects(None, 9, Filter::All).await,
        ["model", "old", "young"],
        "tombstones of more than a day are removed, and nothing else"
    );
    assert!(tried.load("purged").await.is_none());
}
