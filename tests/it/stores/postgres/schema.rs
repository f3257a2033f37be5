use notion_auth::{
    PostgresStore,
    store::{CredentialStore, Filter, StoreErrorKind::Misconfigured},
};

use super::{assert_says, connect_subject, key, place};

#[tokio::test]
async fn migrating_again_keeps_what_is_there() {
    let Some(place) = place() else { return };
    let store = place.store().await;
    connect_subject(&store, "ann").await;
    store.migrate().await.unwrap();
    assert!(store.load(&key("ann")).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_migrate_at_once() {
    let Some(place) = place() else { return };
    let mut migrating = Vec::new();
    for _ in 0..8 {
        let store = place.connect().await;
        migrating.push(tokio::spawn(async move { store.migrate().await }));
    }
    for migrated in migrating {
        migrated.await.unwrap().unwrap();
    }
    place.connect().await.health().await.unwrap();
}

#[tokio::test]
async fn the_schema_as_sql_is_what_migrating_makes() {
    let Some(place) = place() else { return };
    let store = place.connect().await;
    place.sql(&store.schema_sql());
    store.migrate().await.unwrap();
    store.health().await.unwrap();
    let other = place.connect().await.table("other").unwrap();
    other.migrate().await.unwrap();
    let columns = |table| {
        place.sql(&format!(
            "SELECT attname, atttypid::regtype, attnotnull, attcollation::regcollation \
             FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
        ))
    };
    assert_eq!(columns("notion_auth_credentials"), columns("other"));
    assert_eq!(
        columns("notion_auth_credentials_marks"),
        columns("other_marks")
    );
}

#[tokio::test]
async fn tables_of_any_name_that_is_taken_can_be_made() {
    let Some(place) = place() else { return };
    let longest = "x".repeat(50);
    let store = place.connect().await.table(&longest).unwrap();
    store.migrate().await.unwrap();
    store.health().await.unwrap();
    let indexes = place.sql("SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'");
    assert_eq!(indexes, "4");
}

#[tokio::test]
async fn a_table_of_another_application_is_refused_and_nothing_is_made() {
    for (table, left) in [
        ("notion_auth_credentials", "notion_auth_credentials"),
        (
            "notion_auth_credentials_marks",
            "notion_auth_credentials_marks",
        ),
    ] {
        let Some(place) = place() else { return };
        place.sql(&format!("CREATE TABLE {table} (name text)"));
        let store = place.connect().await;
        let refused = store.migrate().await.expect_err("it is another's");
        assert_says(&refused, Misconfigured, "another application");
        let tables = place.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
        assert_eq!(tables, left);
    }
    let Some(place) = place() else { return };
    place.sql("CREATE TABLE notion_auth_credentials (name text)");
    let store = place.connect().await;
    let refused = store.health().await.expect_err("it is another's");
    assert_says(&refused, Misconfigured, "another application");
    let refused = store.load(&key("ann")).await.expect_err("other columns");
    assert_says(&refused, Misconfigured, "schema_sql()");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let Some(place) = place() else { return };
    let store = place.store().await;
    place.sql("COMMENT ON TABLE notion_auth_credentials IS 'notion-auth 2'");
    for refused in [store.health().await, store.migrate().await] {
        let refused = refused.expect_err("it is newer");
        assert_says(&refused, Misconfigured, "upgrade this process");
    }
    place.sql("COMMENT ON TABLE notion_auth_credentials IS 'notion-auth 1 of the web team'");
    store.health().await.unwrap();
}

#[tokio::test]
async fn a_missing_table_is_said_with_its_cure() {
    let Some(place) = place() else { return };
    let store = place.connect().await;
    let errors = [
        store.health().await.err(),
        store.load(&key("ann")).await.err(),
        store.list("test", None, 1, Filter::All).await.err(),
        store.sweep().await.err(),
    ];
    for error in errors {
        assert_says(&error.unwrap(), Misconfigured, "call `migrate()`");
    }
    let store = store.schema("missing").unwrap();
    let error = store.migrate().await.expect_err("there is no such schema");
    assert_says(&error, Misconfigured, "create it");
    let error = store.health().await.expect_err("there is no such schema");
    assert_says(&error, Misconfigured, "not there");
}

#[tokio::test]
async fn missing_rights_are_named() {
    let Some(place) = place() else { return };
    let owner = place.store().await;
    let role = place.role("reader");
    let store = PostgresStore::connect(&place.url_of(&role)).await.unwrap();
    let error = store.load(&key("ann")).await.expect_err("it may not");
    assert_says(&error, Misconfigured, "USAGE on the schema");
    place.sql(&format!(
        "GRANT SELECT, DELETE ON notion_auth_credentials TO {role}"
    ));
    let error = store.health().await.expect_err("it may not write");
    let cure = format!("`GRANT INSERT, UPDATE ON \"notion_auth_credentials\" TO \"{role}\"`");
    assert_says(&error, Misconfigured, &cure);
    let mut cure = cure.replace('`', "");
    place.sql(&cure);
    cure = "SELECT, INSERT, UPDATE, DELETE ON \"notion_auth_credentials_marks\"".to_owned();
    let error = store.health().await.expect_err("nor has it the marks");
    assert_says(&error, Misconfigured, &cure);

    place.sql(
        "DROP TABLE notion_auth_credentials_marks; REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    );
    let error = store.migrate().await.expect_err("it may make no tables");
    assert_says(&error, Misconfigured, "CREATE on the schema");
    owner.migrate().await.unwrap();
}

#[tokio::test]
async fn names_and_settings_are_looked_at_before_they_are_used() {
    let Some(place) = place() else { return };
    let store = place.connect().await;
    for name in ["", "a.b", "a\"; DROP TABLE x; --"] {
        let error = store.clone().table(name).expect_err("not plain");
        assert_says(&error, Misconfigured, "the table cannot be called");
        let error = store.clone().schema(name).expect_err("not plain");
        assert_says(&error, Misconfigured, "the schema cannot be called");
    }
    let error = store.accept_setting("fsnyc").expect_err("misspelt");
    assert_says(&error, Misconfigured, "fsync, full_page_writes");
}
