use notion_auth::{
    PostgresStore,
    store::{CredentialStore, ListQuery, StoreErrorKind::Misconfigured},
};

use super::{assert_says, database, insert, key, load};

#[tokio::test]
async fn migrate_again_keeps_records() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    let record = insert(&store, "ann").await;
    store.migrate().await.unwrap();
    assert_eq!(load(&store).await, Some(record));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn migrate_by_many_processes_at_once_creates_the_tables_once() {
    let Some(database) = database() else { return };
    let mut migrating = Vec::new();
    for _ in 0..8 {
        let store = database.connect().await;
        migrating.push(tokio::spawn(async move { store.migrate().await }));
    }
    for migrated in migrating {
        migrated.await.unwrap().unwrap();
    }
    database.connect().await.health().await.unwrap();
}

#[tokio::test]
async fn schema_sql_creates_what_migrate_accepts() {
    let Some(database) = database() else { return };
    database.sql(PostgresStore::schema_sql());
    let store = database.connect().await;
    store.migrate().await.unwrap();
    store.health().await.unwrap();
}

#[tokio::test]
async fn migrate_over_another_applications_table_fails_and_creates_nothing() {
    for table in ["notion_auth_credentials", "notion_auth_nonces"] {
        let Some(database) = database() else { return };
        database.sql(&format!("CREATE TABLE {table} (name text)"));
        let store = database.connect().await;
        let migrated = store.migrate().await.expect_err("it is another's");
        assert_says(&migrated, Misconfigured, "another application");
        let tables = database.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
        assert_eq!(tables, table);
    }
}

#[tokio::test]
async fn operations_on_a_table_with_other_columns_fail() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    database.sql("ALTER TABLE notion_auth_credentials DROP COLUMN bytes");
    let error = store.load(&key("ann")).await.expect_err("a column is gone");
    assert_says(&error, Misconfigured, "SQLSTATE 42703: column \"bytes\"");
    database.sql("ALTER TABLE notion_auth_credentials ADD COLUMN bytes text DEFAULT 'canary'");
    insert_row(&database);
    let error = store.load(&key("ann")).await.expect_err("another type");
    assert_says(&error, Misconfigured, "schema_sql()");
}

fn insert_row(database: &super::Database) {
    database.sql(
        "INSERT INTO notion_auth_credentials (namespace, subject, revision, state, updated_at) \
         VALUES ('test', 'ann', 1, 'active', now())",
    );
}

#[tokio::test]
async fn tables_of_a_newer_version_are_refused() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    database.sql("COMMENT ON TABLE notion_auth_credentials IS 'notion-auth 2'");
    for refused in [store.health().await, store.migrate().await] {
        let refused = refused.expect_err("it is newer");
        assert_says(&refused, Misconfigured, "upgrade this process");
    }
    database.sql("COMMENT ON TABLE notion_auth_credentials IS 'notion-auth 1 of the web team'");
    store.health().await.unwrap();
}

#[tokio::test]
async fn tables_restored_without_comments_are_repaired_by_the_statement_in_the_error() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    for table in ["notion_auth_credentials", "notion_auth_nonces"] {
        database.sql(&format!("COMMENT ON TABLE {table} IS NULL"));
        let cure = format!("COMMENT ON TABLE {table} IS 'notion-auth 1'");
        for refused in [store.health().await, store.migrate().await] {
            assert_says(&refused.expect_err("it is unknown"), Misconfigured, &cure);
        }
        database.sql(&cure);
        store.health().await.unwrap();
    }
}

#[tokio::test]
async fn missing_table_error_names_migrate() {
    let Some(database) = database() else { return };
    let store = database.connect().await;
    let errors = [
        store.health().await.err(),
        store.load(&key("ann")).await.err(),
        store.list("test", &ListQuery::default()).await.err(),
        store.purge_expired().await.err(),
    ];
    for error in errors {
        assert_says(&error.unwrap(), Misconfigured, "call `migrate()`");
    }
    let role = database.role("homeless");
    database.sql(&format!("ALTER ROLE {role} SET search_path = nowhere"));
    let url = database.url_of(&role);
    let store = PostgresStore::connect(&url).await.unwrap();
    let error = store.migrate().await.expect_err("there is no such schema");
    assert_says(&error, Misconfigured, "SQLSTATE 3F000: no schema");
}

#[tokio::test]
async fn missing_privilege_error_names_the_privilege() {
    let Some(database) = database() else { return };
    let owner = database.store().await;
    let role = database.role("reader");
    let url = database.url_of(&role);
    let store = PostgresStore::connect(&url).await.unwrap();
    let error = store.load(&key("ann")).await.expect_err("it may not");
    assert_says(&error, Misconfigured, "it needs USAGE on the schema");
    assert_says(
        &error,
        Misconfigured,
        "SQLSTATE 42501: permission denied for table",
    );
    database.sql(&format!(
        "GRANT SELECT, DELETE ON notion_auth_credentials TO {role}"
    ));
    let error = store.health().await.expect_err("it may not write");
    let cure = format!("GRANT INSERT, UPDATE ON notion_auth_credentials TO \"{role}\"");
    assert_says(&error, Misconfigured, &cure);
    database.sql(&cure);
    let error = store.health().await.expect_err("nor has it the nonces");
    let cure = "SELECT, INSERT, UPDATE, DELETE ON notion_auth_nonces";
    assert_says(&error, Misconfigured, cure);

    database.sql("DROP TABLE notion_auth_nonces; REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let error = store.migrate().await.expect_err("it may create no tables");
    assert_says(&error, Misconfigured, "CREATE on the schema");
    owner.migrate().await.unwrap();
    owner.health().await.unwrap();
}
