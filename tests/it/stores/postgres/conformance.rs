use notion_auth::{PostgresStore, store::CredentialStore, testing::store_conformance};

use super::database;
use crate::{faulty_store::FaultyStore, servers::pgbouncer};

#[tokio::test]
async fn conformance_of_the_postgres_store() {
    let Some(database) = database() else { return };
    store_conformance(database.store().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conformance_of_two_pools_under_serializable_isolation() {
    let Some(database) = database() else { return };
    database.sql(&format!(
        "ALTER DATABASE {} SET default_transaction_isolation = 'serializable'",
        database.name
    ));
    let pools = FaultyStore::alternating([database.store().await, database.connect().await]);
    store_conformance(pools).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conformance_through_a_pooler_in_transaction_mode() {
    let Some(database) = database() else { return };
    // The pooler does not support the parameters with which a client may start.
    let settings = [("ignore_startup_parameters", "")];
    let Some(bouncer) = pgbouncer::start_with(database.server, &settings) else {
        return;
    };
    let url = bouncer.url_of(&database.name);
    let store = PostgresStore::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    let other = PostgresStore::connect(&url).await.unwrap();
    store_conformance(FaultyStore::alternating([store, other])).await;
}

#[tokio::test]
async fn conformance_for_a_role_that_may_create_no_tables() {
    let Some(database) = database() else { return };
    let role = database.role("application");
    database.sql("CREATE SCHEMA auth; REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let schema = PostgresStore::schema_sql();
    database.sql(&format!("SET search_path = auth; {schema}"));
    database.sql(&format!(
        "ALTER ROLE {role} SET search_path = auth; \
         GRANT USAGE ON SCHEMA auth TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON auth.notion_auth_credentials, auth.notion_auth_nonces TO {role}"
    ));
    let url = database.url_of(&role);
    let store = PostgresStore::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    store.health().await.unwrap();
    store_conformance(store).await;
}
