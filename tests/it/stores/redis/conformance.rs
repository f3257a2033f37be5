use notion_auth::{RedisStore, integrations::redis::Client, testing::store_conformance};

use super::connected;
use crate::{
    faulty_store::FaultyStore,
    servers::redis::{start, start_cluster, start_valkey, start_with},
    temporary::Directory,
};

#[tokio::test(flavor = "multi_thread")]
async fn conformance_of_the_redis_store() {
    let Some(server) = start() else { return };
    store_conformance(connected(&server).await).await;
}

/// The cluster refuses a script that uses two slots.
#[tokio::test(flavor = "multi_thread")]
async fn conformance_of_the_redis_store_in_a_cluster() {
    let Some(server) = start_cluster() else {
        return;
    };
    store_conformance(connected(&server).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conformance_of_the_redis_store_through_two_connections() {
    let Some(server) = start() else { return };
    let client = Client::open(server.url()).unwrap();
    let handles = [connected(&server).await, RedisStore::new(client)];
    store_conformance(FaultyStore::alternating(handles)).await;
}

#[tokio::test]
async fn conformance_of_the_redis_store_with_a_prefix_that_all_its_keys_have() {
    let Some(server) = start() else { return };
    let store = connected(&server).await.prefix("my-app:").unwrap();
    store_conformance(store).await;
    let foreign = "local foreign = 0 \
                   for _, key in ipairs(redis.call('KEYS', '*')) do \
                       if key:sub(1, 7) ~= 'my-app:' then foreign = foreign + 1 end \
                   end \
                   return foreign";
    assert_eq!(server.ask(&["EVAL", foreign, "0"]).unwrap(), "0");
    assert_ne!(server.ask(&["DBSIZE"]).unwrap(), "0");
}

/// Debian 12 has no package of Valkey, so it may be missing even if `CI` is set.
#[tokio::test(flavor = "multi_thread")]
async fn conformance_of_the_redis_store_on_valkey() {
    let Some(server) = start_valkey() else { return };
    store_conformance(connected(&server).await).await;
}

/// Uses only the permissions that the documentation of `RedisStore` lists. Managed servers refuse the
/// commands that are renamed here.
#[tokio::test(flavor = "multi_thread")]
async fn conformance_of_the_redis_store_with_a_user_of_few_rights() {
    let renamed = ["HELLO", "CLIENT", "SCRIPT", "EVALSHA", "MULTI"];
    let renamed = renamed.map(|command| format!("rename-command {command} \"\"\n"));
    let directory = Directory::new();
    let file = directory.file("renamed.conf", &renamed.concat());
    let Some(server) = start_with(&[("include", file.to_str().unwrap())]) else {
        return;
    };
    let mut user = vec!["ACL", "SETUSER", "app", "on", ">secret", "~notion-auth:*"];
    user.extend("+hget +hmget +hset +del +exists +persist +pexpire +set".split(' '));
    user.extend("+zadd +zrem +zrangebylex".split(' '));
    user.extend("+eval +time +info +ping +scan +config|get".split(' '));
    server.ask(&user).unwrap();
    let url = server.url().replace("redis://", "redis://app:secret@");
    store_conformance(RedisStore::connect(url).await.unwrap()).await;
}
