//! Connections as the application handles them: listed, reinstated, and kept apart by OAuth client.

use std::{
    error::Error as _,
    pin::pin,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use notion_auth::{
    AuthError, Event, MemoryStore, NotionAuthProvider, NotionUserCredentials,
    ReauthorizationReason, Subject,
    provider::{ConnectionStatus, NotionAuthProviderBuilder, Revocation},
    store::{Filter, ListQuery, RecordState, StoreError, TOMBSTONE_AGE},
    testing::{
        MockNotion, TestClock,
        notion::{Call, Fault},
    },
};

use crate::{
    faulty_store::{FaultyStore, Hooks, IgnoresAfter, Operation},
    support::{World, auth_error, edit_record, poll, record_json, record_key, send, status},
};

fn names(page: &[ConnectionStatus]) -> Vec<&str> {
    page.iter().map(|it| it.subject.as_str()).collect()
}

async fn list(world: &World, query: &ListQuery) -> Vec<ConnectionStatus> {
    world.provider.list(query).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn list_pages_follow_in_byte_order() {
    let world = World::new();
    let subjects = ["", "B", "a", "a b", "ab", "\u{e4}", "\u{1f4c4}"];
    for subject in subjects.iter().rev() {
        world.connect(subject).await;
    }
    let mut query = ListQuery::default().limit(3);
    let mut listed = Vec::new();
    loop {
        let page = list(&world, &query).await;
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 3);
        query = query.after(last.subject.clone());
        listed.extend(page);
    }
    assert_eq!(names(&listed), subjects);
}

#[tokio::test(start_paused = true)]
async fn list_by_parts_returns_one_users_connections() {
    let world = World::new();
    for parts in [
        &["acme", "ann", "first"][..],
        &["acme", "ann", "second"],
        &["acme", "anna", "first"],
        &["acme", "an"],
        &["acm", "eann"],
    ] {
        let subject = Subject::from_parts(parts.iter().copied());
        world.connect(subject.as_str()).await;
    }
    let anns = ListQuery::default().prefix(Subject::prefix_of_parts(["acme", "ann"]));
    let first = Subject::from_parts(["acme", "ann", "first"]);
    let second = Subject::from_parts(["acme", "ann", "second"]);
    let page = list(&world, &anns).await;
    assert_eq!(names(&page), [first.as_str(), second.as_str()]);
    let page = list(&world, &anns.after(first)).await;
    assert_eq!(names(&page), [second.as_str()]);
}

#[test]
fn parts_of_a_subject_are_those_it_was_made_of() {
    for parts in [
        &[][..],
        &[""],
        &["a:1,", ",", "\u{e4}", ""],
        &["12", "3:4,"],
    ] {
        let subject = Subject::from_parts(parts.iter().copied());
        assert_eq!(subject.parts().as_deref(), Some(parts));
    }
    for text in [
        "ann",
        ":",
        "1:a",
        "1:\u{e4},",
        "9:a,",
        "1:a,b",
        "01:a,",
        "+1:a,",
        "-1:,",
    ] {
        assert_eq!(Subject::new(text).parts(), None, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn list_of_a_store_that_ignores_after_is_an_error() {
    let store = FaultyStore::new(MemoryStore::with_clock(TestClock::new()), IgnoresAfter);
    let world = World::with(MockNotion::in_process(), |builder| builder.store(store));
    for subject in ["ann", "ben"] {
        world.connect(subject).await;
    }
    let query = ListQuery::default().limit(1);
    let page = list(&world, &query).await;
    assert_eq!(names(&page), ["ann"]);
    let next = query.after(page[0].subject.clone());
    let error = world.provider.list(&next).await.unwrap_err();
    let cause = error.source().expect("an error of the store").to_string();
    assert!(cause.contains("only subjects behind `after`"), "{cause}");
    assert!(!error.is_transient());
}

#[tokio::test(start_paused = true)]
async fn list_by_state_or_bot_returns_only_those() {
    let world = World::new();
    let ann = world.connect("ann").await;
    world.connect("ben").await;
    world.connect("cem").await;
    end_by_a_wrong_answer(&world, "ben").await;
    world.provider.disconnect(&"cem".into()).await.unwrap();
    let bot = ann.bot_id().unwrap().to_owned();
    for (filter, expected) in [
        (Filter::All, &["ann", "ben", "cem"][..]),
        (Filter::Active, &["ann"]),
        (Filter::NeedsReauthorization, &["ben"]),
        (Filter::Disconnected, &["cem"]),
        (Filter::Bot(bot), &["ann"]),
        (Filter::Bot("another".to_owned()), &[]),
    ] {
        let page = list(&world, &ListQuery::default().filter(filter.clone())).await;
        assert_eq!(names(&page), expected, "{filter:?}");
    }
}

/// The server answers one refresh with `invalid_grant`, as after a wrong configuration of its own.
async fn end_by_a_wrong_answer(world: &World, subject: &str) {
    let wrong = Fault::refuse(400, "invalid_grant");
    world.notion.script(Call::Refresh, [wrong]);
    let error = world.provider.refresh(&subject.into()).await.unwrap_err();
    let reason = error.needs_reauthorization();
    assert_eq!(reason, Some(ReauthorizationReason::Revoked), "{error}");
}

type Events = Arc<Mutex<Vec<Event>>>;

fn observed() -> (World, Events) {
    let events = Events::default();
    let sink = Arc::clone(&events);
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.observer(move |event: &Event| sink.lock().unwrap().push(event.clone()))
    });
    (world, events)
}

#[tokio::test(start_paused = true)]
async fn reinstate_undoes_wrong_ends_that_a_list_finds() {
    let (world, events) = observed();
    for subject in ["ann", "ben"] {
        world.connect(subject).await;
        end_by_a_wrong_answer(&world, subject).await;
    }
    let ended = ListQuery::default().filter(Filter::NeedsReauthorization);
    for it in list(&world, &ended).await {
        let revoked = RecordState::NeedsReauthorization(ReauthorizationReason::Revoked);
        assert_eq!(it.state, revoked);
        let lineage = it.lineage.unwrap();
        let reinstated = world
            .provider
            .reinstate(&it.subject, lineage, it.generation);
        assert!(reinstated.await.unwrap());
    }
    for subject in ["ann", "ben"] {
        assert_eq!(status(world.client(), world.get(subject)).await, 200);
        world.provider.refresh(&subject.into()).await.unwrap();
        world.assert_nothing_lost(subject).await;
    }
    let is_end = |event: &&Event| matches!(event, Event::NeedsReauthorization { .. });
    assert_eq!(events.lock().unwrap().iter().filter(is_end).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn reinstate_by_the_events_values_reaches_other_replicas() {
    let (world, events) = observed();
    world.connect("ann").await;
    let replica = world.another_provider();
    end_by_a_wrong_answer(&world, "ann").await;
    let ann = Subject::new("ann");
    replica.acquire(&ann).await.unwrap_err();
    let end = events.lock().unwrap().last().cloned();
    let Some(Event::NeedsReauthorization {
        lineage,
        generation,
        ..
    }) = end
    else {
        panic!("the end was not reported: {end:?}");
    };
    // Once more: nothing changes.
    for _ in 0..2 {
        let reinstated = world.provider.reinstate(&ann, lineage, generation);
        assert!(reinstated.await.unwrap());
    }
    replica.acquire(&ann).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn reinstate_changes_nothing_else_than_the_named_generation() {
    let world = World::new();
    let ann = Subject::new("ann");
    world.connect("ann").await;
    let ended = world.provider.status(&ann).await.unwrap().unwrap();
    let lineage = ended.lineage.unwrap();
    let reinstate = |generation| world.provider.reinstate(&ann, lineage, generation);
    end_by_a_wrong_answer(&world, "ann").await;
    assert!(!reinstate(2).await.unwrap(), "of another generation");
    world.connect("ann").await;
    end_by_a_wrong_answer(&world, "ann").await;
    assert!(!reinstate(1).await.unwrap(), "of another lineage");
    world.provider.disconnect(&ann).await.unwrap();
    assert!(!reinstate(1).await.unwrap(), "of a disconnected subject");
    let nobody = Subject::new("nobody");
    let reinstated = world.provider.reinstate(&nobody, lineage, 1).await;
    assert!(!reinstated.unwrap(), "of no record");
    let error = world.provider.acquire(&ann).await.unwrap_err();
    assert!(error.is_not_connected(), "{error}");
}

/// A subject whose record is of another OAuth client or token server than the provider's.
async fn of_another_issuer(member: &str) -> World {
    let world = World::new();
    world.connect("ann").await;
    let other = match member {
        "client_id" => "another-client",
        _ => "https://api.another.example",
    };
    edit_record(&world.store, "ann", |json| {
        json["issuer"][member] = other.into();
    })
    .await;
    world
}

const ISSUER: [&str; 2] = ["client_id", "token_origin"];

#[track_caller]
fn assert_is_of_another_issuer(error: &AuthError) {
    assert!(error.is_configuration(), "{error}");
    for named in ["NOTION_CLIENT_ID", "NOTION_TOKEN_URL", "namespace"] {
        assert!(error.to_string().contains(named), "{error}");
    }
}

async fn record(world: &World) -> serde_json::Value {
    use notion_auth::store::CredentialStore as _;

    let loaded = world.store.load(&record_key("ann")).await.unwrap();
    record_json(&loaded.record.unwrap())
}

#[tokio::test(start_paused = true)]
async fn another_issuers_credentials_are_neither_sent_nor_spent() {
    for member in ISSUER {
        let world = of_another_issuer(member).await;
        let before = record(&world).await;
        let (provider, ann) = (world.another_provider(), Subject::new("ann"));
        for _ in 0..2 {
            assert_is_of_another_issuer(&provider.acquire(&ann).await.unwrap_err());
            assert_is_of_another_issuer(&provider.refresh(&ann).await.unwrap_err());
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(record(&world).await, before);
        assert!(world.notion.ledger().api_calls().is_empty());
        assert!(world.notion.ledger().refreshes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn another_issuers_credentials_are_not_overwritten() {
    for member in ISSUER {
        let world = of_another_issuer(member).await;
        let before = record(&world).await;
        let provider = world.another_provider();
        let ann = Subject::new("ann");
        let stored = provider.store_credentials(&ann, world.notion.connect());
        assert_is_of_another_issuer(&stored.await.unwrap_err());
        assert_eq!(record(&world).await, before);
    }
}

#[tokio::test(start_paused = true)]
async fn another_issuers_credentials_can_be_disconnected_and_deleted() {
    for member in ISSUER {
        for is_disconnect in [true, false] {
            let world = of_another_issuer(member).await;
            let (provider, ann) = (world.another_provider(), Subject::new("ann"));
            if is_disconnect {
                let stored = provider.load_credentials(&ann).await.unwrap();
                let refresh = stored.unwrap().refresh_token.unwrap();
                let ended = provider.disconnect(&ann).await.unwrap();
                // The tokens are not sent to a server that did not issue them.
                assert!(matches!(ended, Revocation::Failed(_)), "{ended:?}");
                let ledger = world.notion.ledger();
                assert!(ledger.is_refresh_token_live(refresh.expose()));
            } else {
                provider.delete_credentials(&ann).await.unwrap();
            }
            assert_eq!(provider.status(&ann).await.unwrap(), None);
            // Then the subject is free.
            let stored = provider.store_credentials(&ann, world.notion.connect());
            stored.await.unwrap();
            provider.acquire(&ann).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn adopting_provider_uses_another_issuers_credentials() {
    for member in ISSUER {
        let world = of_another_issuer(member).await;
        let ann = Subject::new("ann");
        let adopting = world.provider_with(NotionAuthProviderBuilder::adopt_other_issuers);
        adopting.acquire(&ann).await.unwrap();
        adopting.refresh(&ann).await.unwrap();
        world.assert_nothing_lost("ann").await;
        let stored = adopting.store_credentials(&ann, world.notion.connect());
        stored.await.unwrap();
        world.another_provider().acquire(&ann).await.unwrap();
    }
}

/// So that a migration ends, and the switch can be removed.
#[tokio::test(start_paused = true)]
async fn refresh_by_an_adopting_provider_changes_the_issuer() {
    for member in ISSUER {
        let world = of_another_issuer(member).await;
        let ann = Subject::new("ann");
        let adopting = world.provider_with(NotionAuthProviderBuilder::adopt_other_issuers);
        adopting.refresh(&ann).await.unwrap();
        let provider = world.another_provider();
        provider.refresh(&ann).await.unwrap();
        world.assert_nothing_lost("ann").await;
    }
}

#[tokio::test(start_paused = true)]
async fn store_if_absent_replaces_no_connection() {
    let world = World::new();
    let ann: Subject = "ann".into();
    let first = world.connect("ann").await;
    let store_if_absent = async || {
        let credentials = world.notion.connect();
        let stored = world
            .provider
            .store_credentials_if_absent(&ann, credentials);
        stored.await.unwrap()
    };
    assert!(!store_if_absent().await);
    world.assert_nothing_lost("ann").await;
    let kept = world.provider.load_credentials(&ann).await.unwrap();
    let kept = kept.expect("a connection");
    assert_eq!(kept.access_token.expose(), first.access_token.expose());

    // One that has ended can be renewed by its user alone.
    let state = RecordState::NeedsReauthorization(ReauthorizationReason::Revoked);
    edit_record(&world.store, "ann", |record| {
        record["state"] = "revoked".into()
    })
    .await;
    let status = world.provider.status(&ann).await.unwrap();
    assert_eq!(status.expect("a connection").state, state);
    assert!(!store_if_absent().await);

    // The tokens of a second import are those that the disconnect revoked.
    world.provider.delete_credentials(&ann).await.unwrap();
    assert!(!store_if_absent().await);
    assert!(world.provider.status(&ann).await.unwrap().is_none());

    world.clock.advance(TOMBSTONE_AGE + Duration::from_secs(1));
    assert_eq!(world.provider.purge_expired().await.unwrap(), 1);
    assert!(store_if_absent().await);
    world.assert_nothing_lost("ann").await;
}

/// Connects the subject by another process, right before a write.
struct ConnectsFirst(Mutex<Option<(NotionAuthProvider, NotionUserCredentials)>>);

#[notion_auth::store::async_trait]
impl Hooks for ConnectsFirst {
    async fn before(&self, operation: Operation<'_>) -> Result<(), StoreError> {
        let first = match operation {
            Operation::Swap(_) => self.0.lock().unwrap().take(),
            _ => None,
        };
        if let Some((provider, credentials)) = first {
            let stored = provider.store_credentials(&"ann".into(), credentials).await;
            stored.unwrap();
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn store_if_absent_leaves_a_connection_that_was_made_just_before() {
    let world = World::new();
    let meanwhile = world.notion.connect();
    let hooks = ConnectsFirst(Mutex::new(Some((
        world.another_provider(),
        meanwhile.clone(),
    ))));
    let store = FaultyStore::new(world.store.clone(), hooks);
    let importing = world.provider_with(|builder| builder.store(store));
    let ann: Subject = "ann".into();
    let stored = importing.store_credentials_if_absent(&ann, world.notion.connect());
    assert!(!stored.await.unwrap());
    let kept = world.provider.load_credentials(&ann).await.unwrap();
    let kept = kept.expect("a connection");
    assert_eq!(kept.access_token.expose(), meanwhile.access_token.expose());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_after_a_disconnect_gets_no_token_of_a_refresh_before_it() {
    let (refreshed, mut is_refreshed) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = Mutex::new(goes_on);
    // Holds up the refresh task when its token is in the cache and no waiter has it yet.
    let observer = move |event: &Event| {
        if matches!(event, Event::Refreshed { .. }) {
            refreshed.send(()).unwrap();
            goes_on.lock().unwrap().recv().unwrap();
        }
    };
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.observer(observer)
    });
    let credentials = world.connect("ann").await;
    let token = credentials.access_token.expose();
    world.notion.revoke_access_token(token);
    let before = tokio::spawn(status(world.client(), world.get("ann")));
    is_refreshed.recv().await.unwrap();
    let ann = Subject::new("ann");
    world.provider.delete_credentials(&ann).await.unwrap();

    let mut request = pin!(send(world.client(), world.get("ann")));
    assert!(poll(request.as_mut()).is_pending());
    go_on.send(()).unwrap();
    let error = request.await.unwrap_err();
    assert!(auth_error(&error).is_not_connected(), "{error}");
    // It began before the connection ended.
    assert_eq!(before.await.unwrap(), 200);
    assert_eq!(world.notion.ledger().api_calls().len(), 2);
}
