use std::process::Command;

use notion_auth::{
    PostgresStore,
    store::{
        CredentialStore, RecordBytes,
        StoreErrorKind::{Misconfigured, Unavailable},
        StoredRecord,
    },
};

use super::{
    super::small_disk::SmallDisk, assert_says, database, insert, key, load, record, replace, single,
};
use crate::servers::postgres;

#[tokio::test]
async fn unknown_role_or_database_is_refused_without_its_name() {
    let Some(database) = database() else { return };
    let url = database.url_of("canary");
    let error = PostgresStore::connect(&url)
        .await
        .expect_err("no such role");
    assert_says(&error, Misconfigured, "rejects the role");
    let url = database.server.url_of("postgres", "canary");
    let error = PostgresStore::connect(&url)
        .await
        .expect_err("no such database");
    assert_says(&error, Misconfigured, "SQLSTATE 3D000)");
}

#[tokio::test]
async fn password_rotated_under_a_pool_is_named() {
    let Some(mut postgres) = postgres::start() else {
        return;
    };
    let url = postgres.url();
    postgres.psql(&url, "CREATE ROLE app LOGIN PASSWORD 'canary old'");
    let hba = postgres.psql(&url, "SHOW hba_file");
    postgres.psql(
        &url,
        &format!(
            "COPY (VALUES ('host all app 127.0.0.1/32 scram-sha-256'), \
             ('host all all 127.0.0.1/32 trust'), ('local all all trust')) TO '{hba}'"
        ),
    );
    postgres.stop();
    postgres.start();
    let old = url.replace("postgres@", "app:canary%20old@");
    let store = PostgresStore::connect(&old).await.unwrap();
    postgres.psql(&url, "ALTER ROLE app PASSWORD 'canary new'");
    postgres.psql(
        &url,
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = 'app'",
    );
    let error = store.load(&key("ann")).await.expect_err("it has changed");
    assert_says(&error, Misconfigured, "rejects the role or its password");
    assert_says(&error, Misconfigured, "(SQLSTATE 28P01)");
}

#[tokio::test]
async fn too_many_connections_are_named() {
    let Some(database) = database() else { return };
    let role = database.role("popular");
    database.sql(&format!("ALTER ROLE {role} CONNECTION LIMIT 0"));
    let store = PostgresStore::new(single(&database.url_of(&role)));
    let error = store
        .load(&key("ann"))
        .await
        .expect_err("there are too many");
    assert_says(&error, Unavailable, "too many connections");
    assert_says(&error, Unavailable, "SQLSTATE 53300");
}

#[tokio::test]
async fn full_disk_is_named_and_nothing_is_lost() {
    let Some(mut postgres) = postgres::start() else {
        return;
    };
    let Some(disk) = SmallDisk::mount("1m") else {
        return;
    };
    let store = PostgresStore::connect(&postgres.url()).await.unwrap();
    store.migrate().await.unwrap();
    let before = insert(&store, "ann").await;
    let path = disk.path().display();
    let owned = Command::new("chown")
        .arg("postgres")
        .arg(disk.path())
        .status();
    assert!(owned.unwrap().success());
    for sql in [
        format!("CREATE TABLESPACE small LOCATION '{path}'"),
        "ALTER TABLE notion_auth_credentials SET TABLESPACE small".to_owned(),
    ] {
        postgres.psql(&postgres.url(), &sql);
    }
    let large = StoredRecord {
        bytes: RecordBytes::new((0..2 << 20).map(|_| fastrand::u8(..)).collect()),
        ..record("")
    };
    let replaced = replace(&store, &before, &large).await;
    let error = replaced.expect_err("there is no room");
    assert_says(&error, Unavailable, "disk is full");
    assert_says(&error, Unavailable, "SQLSTATE 53100");
    assert_eq!(load(&store).await.as_ref(), Some(&before));
    assert!(replace(&store, &before, &record("small")).await.unwrap());
    postgres.stop();
}

#[tokio::test]
async fn error_of_the_server_has_its_code_and_message_and_no_row() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    database.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION USING ERRCODE = NEW.bot_id, MESSAGE = 'no ' || NEW; END $$; \
         CREATE FUNCTION parse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RETURN NEW.subject::int; END $$",
    );
    let trigger = |function| {
        format!(
            "DROP TRIGGER IF EXISTS t ON notion_auth_credentials; CREATE TRIGGER t \
             BEFORE INSERT ON notion_auth_credentials FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
    };
    for (obstacle, code, reason) in [
        (
            "ALTER TABLE notion_auth_credentials ADD CONSTRAINT no CHECK (state = '')".to_owned(),
            "",
            "SQLSTATE 23514: new row for relation",
        ),
        (
            "ALTER TABLE notion_auth_credentials DROP CONSTRAINT no; \
             ALTER TABLE notion_auth_credentials ADD more text NOT NULL"
                .to_owned(),
            "",
            "SQLSTATE 23502: null value in column \"more\"",
        ),
        (trigger("refuse"), "P0001", "(SQLSTATE P0001)"),
        (trigger("refuse"), "23514", "(SQLSTATE 23514)"),
        (trigger("parse"), "", "(SQLSTATE 22P02)"),
    ] {
        database.sql(&obstacle);
        let new = StoredRecord {
            bot_id: Some(code.to_owned()),
            ..record("canary")
        };
        let swapped = store.compare_and_swap(&key("canary"), None, &new).await;
        assert_says(&swapped.expect_err("refused"), Misconfigured, reason);
    }
}

#[tokio::test]
async fn debug_and_connect_errors_show_no_password() {
    let Some(database) = database() else { return };
    let url = database.url().replace("postgres@", "postgres:canary@");
    let store = PostgresStore::connect(&url).await.unwrap();
    assert_eq!(format!("{store:?}"), "PostgresStore { .. }");
    for url in [
        "mysql://a:canary@b/c",
        "postgres://a:canary@b:canary/c",
        "canary",
    ] {
        let error = PostgresStore::connect(url).await.expect_err(url);
        assert_says(&error, Misconfigured, "");
    }
}
