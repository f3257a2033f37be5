use std::time::Duration;

use notion_auth::store::{
    CredentialStore, Filter, ListQuery, Nonce, RecordState, StoreErrorKind::Corrupt,
};

use super::{INDEX, active, assert_says, connected, hash, key, loaded, write};
use crate::servers::redis::start;

#[tokio::test]
async fn load_of_a_hash_that_is_no_record_is_an_error_for_its_subject_alone() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    write(&store, "ann", &active()).await;
    let zoe = hash("zoe");
    for field in ["revision", "updated_at"] {
        for value in ["canary", "", "1.5"] {
            write_again(&store, &server).await;
            server.ask(&["HSET", &zoe, field, value]).unwrap();
            let error = store.load(&key("zoe")).await.expect_err("it is damaged");
            assert_says(&error, Corrupt, "a record's hash");
            assert!(loaded(&store, "ann").await.is_some());
        }
    }
    for field in ["state", "bot", "revision", "updated_at", "bytes"] {
        write_again(&store, &server).await;
        server.ask(&["HDEL", &zoe, field]).unwrap();
        let error = store.load(&key("zoe")).await.expect_err("it is damaged");
        assert_says(&error, Corrupt, "a record's hash");
    }
}

async fn write_again(store: &notion_auth::RedisStore, server: &crate::servers::redis::Redis) {
    server.ask(&["DEL", &hash("zoe")]).unwrap();
    write(store, "zoe", &active()).await;
}

/// A newer version may have more states.
#[tokio::test]
async fn a_record_of_an_unknown_state_is_unreadable_and_can_be_replaced() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    write(&store, "ann", &active()).await;
    server.ask(&["HSET", &hash("ann"), "state", "new"]).unwrap();
    let record = loaded(&store, "ann").await.unwrap();
    assert_eq!(record.state, RecordState::Unreadable);
    let all = store.list("test", &ListQuery::default()).await.unwrap();
    assert_eq!(all[0].record.state, RecordState::Unreadable);
    let active = ListQuery::default().filter(Filter::Active);
    assert!(store.list("test", &active).await.unwrap().is_empty());
    write(&store, "ann", &super::active()).await;
}

#[tokio::test]
async fn a_key_of_another_type_is_an_error_and_left_alone() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    server.ask(&["SET", &hash("ann"), "canary"]).unwrap();
    let error = store.load(&key("ann")).await.expect_err("it is no hash");
    assert_says(&error, Corrupt, "WRONGTYPE");
    let swapped = store.compare_and_swap(&key("ann"), None, &active()).await;
    assert_says(&swapped.expect_err("it is no hash"), Corrupt, "WRONGTYPE");
    assert_eq!(server.ask(&["GET", &hash("ann")]).unwrap(), "canary");

    server.ask(&["SET", INDEX, "canary"]).unwrap();
    let swapped = store.compare_and_swap(&key("ben"), None, &active()).await;
    let error = swapped.expect_err("it cannot be listed");
    assert_says(&error, Corrupt, "use another prefix");
    assert_eq!(server.ask(&["EXISTS", &hash("ben")]).unwrap(), "0");
}

#[tokio::test]
async fn nonces_expire_by_themselves_whatever_their_lifetime() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    for lifetime in [Duration::MAX, Duration::ZERO, Duration::from_secs(60)] {
        let nonce = Nonce::new("test", [0xab; 32]);
        assert!(store.consume_nonce(&nonce, lifetime).await.unwrap());
        let key = format!("notion-auth:nonce:{{test}}:{}", "ab".repeat(32));
        assert_ne!(server.ask(&["PTTL", &key]).unwrap(), "-1");
        server.ask(&["DEL", &key]).unwrap();
    }
}
