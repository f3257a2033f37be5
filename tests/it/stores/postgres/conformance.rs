use notion_auth::{PostgresStore, store::CredentialStore, testing::store_conformance};

use super::{super::two::Two, place};
use crate::servers::pgbouncer;

#[tokio::test]
async fn conformance_of_the_postgres_store() {
    let Some(place) = place() else { return };
    store_conformance(place.store().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conformance_of_the_postgres_store_through_two_pools() {
    let Some(place) = place() else { return };
    // What else the database is for may need more than this.
    place.sql(&format!(
        "ALTER DATABASE {} SET default_transaction_isolation = 'serializable'",
        place.database
    ));
    store_conformance(Two::new(place.store().await, place.connect().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conformance_of_the_postgres_store_through_a_pooler_in_transaction_mode() {
    let Some(place) = place() else { return };
    // It knows none of the parameters with which a client may begin.
    let settings = [("ignore_startup_parameters", "")];
    let Some(bouncer) = pgbouncer::start_with(place.postgres, &settings) else {
        return;
    };
    let url = bouncer.url_of(&place.database);
    let store = PostgresStore::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    let other = PostgresStore::connect(&url).await.unwrap();
    store_conformance(Two::new(store, other)).await;
}

#[tokio::test]
async fn conformance_of_the_postgres_store_for_a_role_that_may_make_no_tables() {
    let Some(place) = place() else { return };
    let owner = place
        .connect()
        .await
        .schema("Select")
        .unwrap()
        .table("1_Table")
        .unwrap();
    let role = place.role("application");
    place.sql("CREATE SCHEMA \"Select\"");
    place.sql(&owner.schema_sql());
    place.sql(&format!(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
         GRANT USAGE ON SCHEMA \"Select\" TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE \
         ON \"Select\".\"1_Table\", \"Select\".\"1_Table_marks\" TO {role}"
    ));
    let store = PostgresStore::connect(&place.url_of(&role))
        .await
        .unwrap()
        .schema("Select")
        .unwrap()
        .table("1_Table")
        .unwrap();
    store.migrate().await.unwrap();
    store_conformance(store).await;
    owner.health().await.unwrap();
}
