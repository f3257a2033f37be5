use std::{fs, time::Duration};

use notion_auth::{
    MemoryStore, RedisStore,
    store::{
        AttemptId, Change, CredentialStore, Expected, Filter, Labels, OnceKey, Payload, Record,
        Revision, StoreError,
        StoreErrorKind::{self, Corrupt, Misconfigured, Unavailable},
    },
};

use super::{assert_says, connect_subject, connected, hash, holding, key, proxy::says, save};
use crate::servers::redis::{start, start_with};

#[tokio::test]
async fn a_user_who_may_not_do_what_is_needed_is_told() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    connect_subject(&store, "canary").await;
    for forbidden in ["-hgetall", "-info", "-evalsha", "-zadd", "-hset"] {
        server
            .ask(&["ACL", "SETUSER", "default", forbidden])
            .unwrap();
        let error = attempt(&store).await.expect_err("it is forbidden");
        assert_says(&error, Misconfigured, "may not do what a store must");
        let allowed = forbidden.replace('-', "+");
        server
            .ask(&["ACL", "SETUSER", "default", &allowed])
            .unwrap();
        attempt(&store).await.unwrap();
    }
    server
        .ask(&["ACL", "SETUSER", "default", "resetkeys", "~my-app:*"])
        .unwrap();
    let error = attempt(&store).await.expect_err("the keys are others");
    assert_says(&error, Misconfigured, "may not do what a store must");
    let store = store.prefix("my-app:").unwrap();
    connect_subject(&store, "canary").await;
}

/// Everything that a refresh asks of the record of `canary`.
async fn attempt(store: &RedisStore) -> Result<(), StoreError> {
    let key = key("canary");
    let current = store.load(&key).await?.expect("it is there");
    let new = Record {
        revision: Revision::from_bytes(current.revision.to_bytes().map(|byte| byte ^ 1)),
        ..current.clone()
    };
    assert!(store.replace(&key, Some(current.revision), &new).await?);
    Ok(())
}

/// The server quotes the beginning of a command that it does not know.
#[tokio::test]
async fn a_command_that_was_renamed_is_said_without_its_arguments() {
    for renamed in ["HGETALL", "ZADD", "EVALSHA"] {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, format!("rename-command {renamed} \"\"\n")).unwrap();
        let path = file.path().to_str().unwrap();
        let Some(server) = start_with(&[("include", path)]) else {
            return;
        };
        let store = connected(&server).await;
        let record = Record {
            labels: Labels {
                workspace_name: Some("canary".to_owned()),
                bot_id: Some("canary".to_owned()),
            },
            ..sample().await
        };
        let loaded = store.load(&key("canary")).await.map(drop);
        let replaced = store.replace(&key("canary"), None, &record).await.map(drop);
        let error = loaded.and(replaced).expect_err("the command is not there");
        assert_says(&error, Misconfigured, "does not know a command");
    }
}

/// A record, from elsewhere.
async fn sample() -> Record {
    let store = MemoryStore::new();
    let (key, new) = (key("canary"), holding(Change::Connect, None));
    let attempt = AttemptId::random();
    let saved = store.save(&key, new, Expected::Absent, attempt);
    saved.await.unwrap();
    store.load(&key).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_server_without_memory_refuses_and_loses_nothing() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    save(&store, "canary", holding(Change::Connect, Some("bot"))).await;
    let before = store.load(&key("canary")).await.unwrap().unwrap();
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();

    let error = attempt(&store).await.expect_err("there is no room");
    assert_says(&error, Unavailable, "no memory left");
    let after = store.load(&key("canary")).await.unwrap().unwrap();
    assert_eq!(after.revision, before.revision);
    assert_eq!(after.labels, before.labels);
    assert_eq!(after.payload, before.payload);
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    attempt(&store).await.unwrap();
}

/// The script alone, where the index needed no room.
#[tokio::test]
async fn a_script_without_memory_changes_nothing() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    save(&store, "ann", holding(Change::Connect, Some("bot"))).await;
    let ann = hash("ann");
    let revision = server.ask(&["HGET", &ann, "revision"]).unwrap();
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let script = include_str!("../../../../src/store/redis/replace.lua");
    let call = [
        "EVAL", script, "1", &ann, &revision, "2", "bot_id", "payload", "v", "1",
    ];
    let error = server.ask(&call).unwrap_err();
    assert!(error.to_string().starts_with("OOM"), "{error}");
    let found = store.load(&key("ann")).await.unwrap().unwrap();
    assert_eq!(found.payload.as_bytes(), b"canary");
    assert_eq!(found.labels.bot_id.as_deref(), Some("bot"));
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    let cases: [(_, StoreErrorKind, _); 15] = [
        (
            "-NOAUTH Authentication required.",
            Misconfigured,
            "user and password",
        ),
        (
            "-WRONGPASS invalid username-password pair",
            Misconfigured,
            "user and password",
        ),
        (
            "-NOPERM No permissions to access a key",
            Misconfigured,
            "allow it",
        ),
        (
            "-READONLY You can't write against a read only replica.",
            Unavailable,
            "connect to the primary",
        ),
        (
            "-MASTERDOWN Link with MASTER is down",
            Unavailable,
            "connect to the primary",
        ),
        (
            "-OOM command not allowed when used memory > 'maxmemory'.",
            Unavailable,
            "raise maxmemory",
        ),
        (
            "-MISCONF Errors writing to the AOF file: No space left on device",
            Unavailable,
            "make room",
        ),
        (
            "-LOADING Redis is loading the dataset in memory",
            Unavailable,
            "wait",
        ),
        (
            "-BUSY Redis is busy running a script.",
            Unavailable,
            "SCRIPT KILL",
        ),
        (
            "-NOREPLICAS Not enough good replicas to write.",
            Unavailable,
            "bring them back",
        ),
        (
            "-CLUSTERDOWN Hash slot not served",
            Unavailable,
            "bring its nodes back",
        ),
        (
            "-MOVED 3999 127.0.0.1:6381",
            Misconfigured,
            "give it one that has all slots",
        ),
        (
            "-WRONGTYPE Operation against a key",
            Corrupt,
            "a prefix of its own",
        ),
        ("-ERR something about canary", Unavailable, "read its log"),
        ("-ODD something about canary", Unavailable, "read its log"),
    ];
    for (line, kind, words) in cases {
        let store = says(line).await;
        for error in all_errors(&store).await {
            assert_says(&error, kind, words);
        }
    }
}

#[tokio::test]
async fn answers_that_are_none_are_errors_that_do_not_show_them() {
    for line in ["+canary", ":7", "$6\r\ncanary", "*1\r\n$6\r\ncanary", "$-1"] {
        let store = says(line).await;
        for error in all_errors(&store).await {
            assert_says(&error, error.kind(), "");
        }
    }
}

/// The errors of the operations that fail; `load` is always one of them.
async fn all_errors(store: &RedisStore) -> Vec<StoreError> {
    let key = key("canary");
    let mark = OnceKey::new("canary", [7; 32]);
    let record = Record {
        payload: Payload::from_bytes(b"canary".to_vec()),
        ..sample().await
    };
    let loaded = store.load(&key).await.map(drop);
    assert!(loaded.is_err(), "{loaded:?}");
    let outcomes = [
        loaded,
        store.replace(&key, None, &record).await.map(drop),
        store
            .replace(&key, Some(record.revision), &record)
            .await
            .map(drop),
        store.now().await.map(drop),
        store.once(&mark, Duration::from_secs(60)).await.map(drop),
        store.list("canary", None, 9, Filter::All).await.map(drop),
        store.sweep().await.map(drop),
    ];
    outcomes.into_iter().filter_map(Result::err).collect()
}
