use std::time::Duration;

use notion_auth::{
    RedisStore,
    store::{
        CredentialStore, ListQuery, Nonce, RecordState, StoreError,
        StoreErrorKind::{self, Corrupt, Misconfigured, Unavailable},
        StoredRecord,
    },
};

use super::{
    active, assert_says, connected, hash, key, listed, loaded, proxy::says, tombstone, write,
};
use crate::{
    servers::redis::{Redis, start, start_with},
    temporary::Directory,
};

/// Runs all operations in turn until one fails.
async fn attempt(store: &RedisStore) -> Result<(), StoreError> {
    let key = key("canary");
    store
        .consume_nonce(&nonce(), Duration::from_secs(60))
        .await?;
    for new in [active(), tombstone()] {
        let seen = store.load(&key).await?.record.map(|it| it.revision);
        assert!(store.compare_and_swap(&key, seen, &new).await?);
        store.list("test", &ListQuery::default()).await?;
    }
    store.purge_expired().await?;
    store.health().await
}

fn nonce() -> Nonce {
    Nonce::new("canary", [7; 32])
}

fn set_user(server: &Redis, rule: &str) {
    server.ask(&["ACL", "SETUSER", "default", rule]).unwrap();
}

#[tokio::test]
async fn missing_permission_is_named() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    attempt(&store).await.unwrap();
    for command in
        "hget hmget hset exists persist pexpire set zadd zrangebylex eval time info scan".split(' ')
    {
        set_user(&server, &format!("-{command}"));
        let error = attempt(&store).await.expect_err(command);
        assert_says(&error, Misconfigured, "allow the user the commands");
        set_user(&server, &format!("+{command}"));
        attempt(&store).await.expect(command);
    }
    set_user(&server, "resetkeys");
    set_user(&server, "~my-app:*");
    let error = attempt(&store).await.expect_err("the keys are others");
    assert_says(&error, Misconfigured, "allow the user the commands");
    attempt(&store.prefix("my-app:").unwrap()).await.unwrap();
}

/// The server quotes the beginning of an unknown command.
#[tokio::test]
async fn renamed_command_is_named_without_its_arguments() {
    for renamed in ["EVAL", "HMGET", "ZADD", "ZRANGEBYLEX", "SET"] {
        let directory = Directory::new();
        let file = directory.file("renamed.conf", &format!("rename-command {renamed} \"\"\n"));
        let Some(server) = start_with(&[("include", file.to_str().unwrap())]) else {
            return;
        };
        let store = connected(&server).await.prefix("canary:").unwrap();
        let error = attempt(&store).await.expect_err(renamed);
        assert_says(&error, Misconfigured, "nknown ");
        assert_says(&error, Misconfigured, "command");
    }
}

#[tokio::test]
async fn full_server_refuses_changes_and_answers_loads() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    let before = active();
    write(&store, "ann", &before).await;
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();

    for error in [
        swap(&store, &before, &active()).await.unwrap_err(),
        store.health().await.unwrap_err(),
    ] {
        assert_says(&error, Unavailable, "OOM command not allowed");
        assert_says(&error, Unavailable, "raise `maxmemory`");
    }
    assert_eq!(loaded(&store, "ann").await, Some(before.clone()));
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    assert!(swap(&store, &before, &active()).await.unwrap());
}

async fn swap(
    store: &RedisStore,
    seen: &StoredRecord,
    new: &StoredRecord,
) -> Result<bool, StoreError> {
    let seen = Some(seen.revision);
    store.compare_and_swap(&key("ann"), seen, new).await
}

/// Redis does not undo the earlier commands of a script if a later one is refused.
#[tokio::test]
async fn partly_refused_change_leaves_a_valid_record() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    for (before, new) in [
        (active(), active()),
        (active(), tombstone()),
        (tombstone(), active()),
    ] {
        for command in ["zadd", "persist", "hset", "pexpire"] {
            write(&store, "ann", &before).await;
            set_user(&server, &format!("-{command}"));
            let swapped = swap(&store, &before, &new).await;
            let found = loaded(&store, "ann").await.unwrap();
            match swapped {
                Ok(swapped) => assert!(swapped && found == new, "{command}"),
                Err(_) => assert!(found == before || found == new, "{command}"),
            }
            let ttl = server.ask(&["PTTL", &hash("ann")]).unwrap();
            let stays = found.state == RecordState::Active;
            assert!(!stays || ttl == "-1", "{command}: {ttl}");
            assert_eq!(listed(&store, &ListQuery::default()).await, ["ann"]);
            set_user(&server, &format!("+{command}"));
        }
    }
}

#[tokio::test]
async fn refusal_has_a_kind_the_server_s_message_and_advice() {
    let cases: [(_, StoreErrorKind, _); 19] = [
        (
            "NOAUTH Authentication required.",
            Misconfigured,
            "correct the user and password",
        ),
        (
            "WRONGPASS invalid username-password pair",
            Misconfigured,
            "correct the user and password",
        ),
        (
            "NOPERM No permissions to access a key",
            Misconfigured,
            "allow the user the commands",
        ),
        (
            "READONLY You can't write against a read only replica.",
            Unavailable,
            "it is a replica",
        ),
        (
            "MASTERDOWN Link with MASTER is down",
            Unavailable,
            "it is a replica",
        ),
        (
            "OOM command not allowed when used memory > 'maxmemory'.",
            Unavailable,
            "raise `maxmemory`",
        ),
        (
            "MISCONF Errors writing to the AOF file: No space left on device",
            Unavailable,
            "make room",
        ),
        (
            "LOADING Redis is loading the dataset in memory",
            Unavailable,
            "wait",
        ),
        (
            "CLUSTERDOWN Hash slot not served",
            Unavailable,
            "bring its nodes back",
        ),
        (
            "WRONGTYPE Operation against a key",
            Corrupt,
            "use another prefix",
        ),
        ("BUSY Redis is busy running a script.", Unavailable, ""),
        (
            "NOREPLICAS Not enough good replicas to write.",
            Unavailable,
            "",
        ),
        ("MOVED 3999 127.0.0.1:6381", Misconfigured, ""),
        (
            "DENIED Redis is running in protected mode",
            Misconfigured,
            "",
        ),
        ("ERR DB index is out of range", Misconfigured, ""),
        ("ERR max number of clients reached", Unavailable, ""),
        ("ERR upstream failure", Unavailable, ""),
        ("ODD answer", Unavailable, ""),
        ("ODD", Unavailable, ""),
    ];
    for (answer, kind, advice) in cases {
        let store = says(format!("-{answer}").leak()).await;
        let errors = all_errors(&store).await;
        assert_eq!(errors.len(), 7, "{answer}");
        for error in errors {
            assert_says(&error, kind, answer);
            assert_says(&error, kind, advice);
        }
    }
}

#[tokio::test]
async fn arguments_repeated_by_a_refusal_are_not_shown() {
    let answer = "-ERR unknown command 'AUTH', with args beginning with: 'canary' 'canary'";
    for error in all_errors(&says(answer).await).await {
        assert_says(&error, Misconfigured, "ERR unknown command 'AUTH'\"");
    }
}

#[tokio::test]
async fn invalid_responses_are_errors_that_do_not_show_them() {
    for line in [
        "+canary",
        "$6\r\ncanary",
        "*1\r\n$6\r\ncanary",
        "$-1",
        "HTTP/1.1 400 canary",
    ] {
        let store = says(line).await;
        let errors = all_errors(&store).await;
        assert!(!errors.is_empty(), "{line}");
        for error in errors {
            assert_says(&error, Unavailable, "not one of Redis");
        }
    }
}

/// Returns the errors of the operations that fail.
async fn all_errors(store: &RedisStore) -> Vec<StoreError> {
    let key = key("canary");
    let outcomes = [
        store.load(&key).await.map(drop),
        store
            .compare_and_swap(&key, None, &active())
            .await
            .map(drop),
        swap(store, &active(), &tombstone()).await.map(drop),
        store
            .consume_nonce(&nonce(), Duration::from_secs(60))
            .await
            .map(drop),
        store.list("canary", &ListQuery::default()).await.map(drop),
        store.purge_expired().await.map(drop),
        store.health().await.map(drop),
    ];
    outcomes.into_iter().filter_map(Result::err).collect()
}
