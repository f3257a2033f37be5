use std::time::Duration;

use super::subject::{LONG, Tried, holding, new};
use crate::store::{
    AttemptId, Change, CredentialStore, Expected, Labels, NewRecord, Payload, RecordState,
    Revision, Saved,
};

pub(super) async fn check<S: CredentialStore>(tried: &Tried<S>) {
    generations_only_grow(tried).await;
    a_save_is_fenced(tried).await;
    a_save_is_repeatable_by_its_attempt(tried).await;
    what_is_saved_is_read_back(tried).await;
    times_say_what_happened(tried).await;
    keys_do_not_collide(tried).await;
    a_replacement_needs_the_revision(tried).await;
}

async fn generations_only_grow<S: CredentialStore>(tried: &Tried<S>) {
    assert!(
        tried.load("grow").await.is_none(),
        "an unknown key is empty"
    );
    assert_eq!(tried.save("grow", Change::Connect).await, 1);
    assert_eq!(tried.save("grow", Change::Refresh).await, 2);
    assert_eq!(tried.save("grow", Change::Disconnect).await, 3);
    let tombstone = tried.record("grow").await;
    assert_eq!(tombstone.state, RecordState::Disconnected);
    assert_eq!(
        tried.save("grow", Change::Connect).await,
        4,
        "a generation does not restart after a disconnect"
    );
    let record = tried.record("grow").await;
    assert_eq!((record.generation, record.state), (4, RecordState::Active));
}

async fn a_save_is_fenced<S: CredentialStore>(tried: &Tried<S>) {
    tried.save("fence", Change::Connect).await;
    tried.save("fence", Change::Refresh).await;
    for expected in [
        Expected::Absent,
        Expected::Generation(0),
        Expected::Generation(1),
        Expected::Generation(3),
    ] {
        let other = holding(Change::Refresh, b"other");
        let saved = tried
            .save_as("fence", other, expected, AttemptId::random())
            .await;
        assert_eq!(
            saved,
            Saved::Conflict(Some(2)),
            "a save for {expected:?} must not replace generation 2"
        );
    }
    assert_eq!(tried.record("fence").await.payload.as_bytes(), b"payload");
    let absent = tried.save_as(
        "nobody",
        new(Change::Refresh),
        Expected::Generation(1),
        AttemptId::random(),
    );
    assert_eq!(
        absent.await,
        Saved::Conflict(None),
        "a save for a generation needs a record"
    );
    assert!(tried.load("nobody").await.is_none());
}

async fn a_save_is_repeatable_by_its_attempt<S: CredentialStore>(tried: &Tried<S>) {
    let attempt = AttemptId::random();
    for _ in 0..2 {
        let new = holding(Change::Connect, b"first");
        let saved = tried.save_as("again", new, Expected::Absent, attempt);
        assert_eq!(saved.await, Saved::Done(1));
    }
    assert_eq!(tried.record("again").await.committed_by, attempt);
    let attempt = AttemptId::random();
    for payload in [&b"second"[..], b"repeated"] {
        let new = holding(Change::Refresh, payload);
        let saved = tried.save_as("again", new, Expected::Generation(1), attempt);
        assert_eq!(
            saved.await,
            Saved::Done(2),
            "the attempt that made generation 2 is told so again"
        );
    }
    let record = tried.record("again").await;
    assert_eq!(
        record.payload.as_bytes(),
        b"second",
        "a repeated save changes nothing"
    );
}

async fn what_is_saved_is_read_back<S: CredentialStore>(tried: &Tried<S>) {
    let everything: Vec<u8> = (0..=255).collect();
    let large = everything.repeat(256);
    let texts = [
        None,
        Some(""),
        Some("Ann’s “workspace” \\ 'x'; -- %_{}:*"),
        Some("\u{1f389} 工作区\n\ttwo lines"),
    ];
    for (number, payload) in [&b""[..], b"\0", &everything, &large]
        .into_iter()
        .enumerate()
    {
        for (other, text) in texts.into_iter().enumerate() {
            let subject = format!("whole-{number}-{other}");
            let labels = Labels {
                workspace_name: text.map(str::to_owned),
                bot_id: texts[(other + number) % texts.len()].map(str::to_owned),
            };
            let attempt = AttemptId::random();
            let new = NewRecord {
                change: Change::Connect,
                payload: Payload::from_bytes(payload.to_vec()),
                labels: labels.clone(),
            };
            tried
                .save_as(&subject, new, Expected::Absent, attempt)
                .await;
            let record = tried.record(&subject).await;
            assert!(
                record.payload.as_bytes() == payload,
                "a payload of {} bytes is read back as it was",
                payload.len()
            );
            assert_eq!(record.labels, labels);
            assert_eq!(record.committed_by, attempt);
            assert_eq!((record.claim, record.not_before), (None, None));
        }
    }
}

async fn times_say_what_happened<S: CredentialStore>(tried: &Tried<S>) {
    const PAUSE: Duration = Duration::from_millis(20);

    tried.save("times", Change::Connect).await;
    let connected = tried.record("times").await;
    assert_eq!(connected.refreshed_at, None);
    assert_eq!(connected.connected_at, connected.updated_at);
    assert!(connected.read_at >= connected.updated_at);
    tried.pass(PAUSE).await;

    tried.save("times", Change::Refresh).await;
    let refreshed = tried.record("times").await;
    assert_eq!(
        refreshed.connected_at, connected.connected_at,
        "a refresh is no connect"
    );
    assert_eq!(refreshed.refreshed_at, Some(refreshed.updated_at));
    assert!(
        refreshed.updated_at > connected.updated_at,
        "`updated_at` is read from the store's clock"
    );
    tried.pass(PAUSE).await;

    tried.save("times", Change::Connect).await;
    let again = tried.record("times").await;
    assert_eq!(again.refreshed_at, None);
    assert!(again.connected_at > connected.connected_at);
    let now = tried.now().await;
    let age = now.duration_since(again.read_at);
    assert!(
        age.is_ok_and(|age| age < LONG),
        "`now` and `read_at` are one clock"
    );
}

async fn keys_do_not_collide<S: CredentialStore>(tried: &Tried<S>) {
    let subjects = [
        "",
        " ",
        "a",
        "A",
        "a:b",
        "a:",
        ":b",
        "a/b",
        "a\\b",
        "a'b",
        "a\"b",
        "a%b",
        "a_b",
        "a*b",
        "{a}",
        "{a",
        "a}",
        "4:acme,3:ann,",
        "é",
        "e\u{301}",
        "\u{1f389}",
        "a\nb",
        "a b",
        "--",
        "*",
    ];
    for subject in subjects {
        let new = holding(Change::Connect, subject.as_bytes());
        let saved = tried.save_as(subject, new, Expected::Absent, AttemptId::random());
        assert_eq!(
            saved.await,
            Saved::Done(1),
            "{subject:?} is a subject of its own"
        );
    }
    for subject in subjects {
        let record = tried.record(subject).await;
        assert_eq!(record.payload.as_bytes(), subject.as_bytes());
    }
    // Namespace and subject: where one ends and the other begins.
    for (number, (namespace, subject)) in [("", "x:y"), (":x", "y"), ("{x", "y}"), ("", "x")]
        .into_iter()
        .enumerate()
    {
        let elsewhere = Tried {
            namespace: format!("{}{namespace}", tried.namespace),
            ..tried.clone()
        };
        let payload = [u8::try_from(number).unwrap_or_default()];
        let new = holding(Change::Connect, &payload);
        let saved = elsewhere.save_as(subject, new, Expected::Absent, AttemptId::random());
        assert_eq!(saved.await, Saved::Done(1), "{namespace:?} {subject:?}");
        assert_eq!(elsewhere.record(subject).await.payload.as_bytes(), payload);
    }
}

async fn a_replacement_needs_the_revision<S: CredentialStore>(tried: &Tried<S>) {
    let replace = async |seen: Option<Revision>, new| {
        let replaced = tried.store.replace(&tried.key("swap"), seen, new).await;
        replaced.expect("the store answers `replace`")
    };
    tried.save("swap", Change::Connect).await;
    let first = tried.record("swap").await;
    tried.save("swap", Change::Refresh).await;
    let second = tried.record("swap").await;
    assert_ne!(first.revision, second.revision);
    for seen in [None, Some(first.revision), Some(Revision::random())] {
        assert!(
            !replace(seen, &first).await,
            "a record that was changed since it was read is not replaced"
        );
    }
    assert_eq!(tried.record("swap").await.generation, 2);
    let purged = tried.key("purged");
    let replaced = tried.store.replace(&purged, Some(second.revision), &second);
    assert!(
        !replaced.await.expect("the store answers `replace`"),
        "a record that is gone is not brought back"
    );
    assert!(tried.load("purged").await.is_none());
    assert!(replace(Some(second.revision), &first).await);
    let record = tried.record("swap").await;
    assert_eq!(
        (record.generation, record.revision),
        (1, first.revision),
        "a record is kept as it was given"
    );
    assert_eq!(
        (record.connected_at, record.updated_at, record.refreshed_at),
        (first.connected_at, first.updated_at, first.refreshed_at),
        "times come back as they were given"
    );
}
