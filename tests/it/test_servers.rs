//! Tests of the servers. Some start this program again, to check that nothing outlives it.

use std::{
    collections::BTreeSet,
    env,
    io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::servers::{
    directory::program_without_settings,
    pgbouncer, postgres, redis,
    server::{Program, Server},
};

#[test]
fn postgres_keeps_its_data_after_a_stop_and_a_crash() {
    let Some(mut postgres) = postgres::start() else {
        return;
    };
    let url = postgres.url();
    postgres.psql(&url, "CREATE TABLE words (word text)");
    postgres.psql(&url, "INSERT INTO words VALUES ('before')");

    postgres.stop();
    assert!(nobody_is_on(postgres.port));
    postgres.start();
    postgres.psql(&url, "INSERT INTO words VALUES ('between')");
    postgres.kill();
    assert!(nobody_is_on(postgres.port));
    postgres.start();

    let words = postgres.psql(&url, "SELECT word FROM words");
    assert_eq!(words, "before\nbetween");
}

#[test]
fn postgres_stops_despite_open_transactions() {
    let Some(mut postgres) = postgres::start() else {
        return;
    };
    let url = postgres.url();
    let mut client = program_without_settings(&postgres.program.directory.join("psql"))
        .args(["-c", "SELECT pg_sleep(3600)", &url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a client starts");
    let sleepers = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    eventually(|| postgres.psql(&url, sleepers) == "1");
    postgres.stop();
    assert!(!client.wait().expect("it ends").success());
}

#[test]
fn postgres_is_durable_and_takes_settings() {
    let settings = [("default_transaction_isolation", "serializable")];
    let Some(postgres) = postgres::start_with(&settings) else {
        return;
    };
    let setting = |name| postgres.psql(&postgres.url(), &format!("SHOW {name}"));
    assert_eq!(setting("fsync"), "on");
    assert_eq!(setting("synchronous_commit"), "on");
    assert_eq!(setting("full_page_writes"), "on");
    assert_eq!(setting("max_connections"), "200");
    assert_eq!(setting("default_transaction_isolation"), "serializable");
}

#[test]
fn tests_with_a_shared_postgres_are_isolated() {
    let Some(postgres) = postgres::shared() else {
        return;
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let database = postgres::fresh_database(postgres);
                let url = postgres.url_of("postgres", &database);
                postgres.psql(&url, "CREATE TABLE words (word text)");
            });
        }
    });
}

#[test]
fn redis_keeps_its_data_after_a_stop_and_a_crash() {
    let Some(mut redis) = redis::start() else {
        return;
    };
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}/", redis.port));
    redis.ask(&["SET", "one", "before"]).unwrap();
    redis.stop();
    assert!(redis.ask(&["PING"]).is_err());
    redis.start();
    redis.ask(&["SET", "two", "between"]).unwrap();
    redis.kill();
    assert!(redis.ask(&["PING"]).is_err());
    redis.start();
    assert_eq!(redis.ask(&["GET", "one"]).unwrap(), "before");
    assert_eq!(redis.ask(&["GET", "two"]).unwrap(), "between");
}

#[test]
fn redis_takes_settings() {
    let Some(redis) = redis::start_with(&[("maxmemory-policy", "volatile-ttl")]) else {
        return;
    };
    let memory = redis.ask(&["INFO", "memory"]).unwrap();
    assert!(memory.contains("maxmemory_policy:volatile-ttl"), "{memory}");
}

#[test]
fn cluster_refuses_keys_of_different_slots() {
    let Some(mut redis) = redis::start_cluster() else {
        return;
    };
    redis.ask(&["MSET", "{a}1", "x", "{a}2", "y"]).unwrap();
    let refused = redis.ask(&["MSET", "a", "x", "b", "y"]).unwrap_err();
    assert!(refused.to_string().starts_with("CROSSSLOT"), "{refused}");

    redis.kill();
    redis.start();
    assert_eq!(redis.ask(&["GET", "{a}2"]).unwrap(), "y");
}

#[test]
fn pgbouncer_shares_few_connections_among_many_clients() {
    let Some(postgres) = postgres::shared() else {
        return;
    };
    let Some(mut bouncer) = pgbouncer::start(postgres) else {
        return;
    };
    let url = bouncer.url_of(&postgres::fresh_database(postgres));
    let backends = || -> BTreeSet<String> {
        let backend = || postgres.psql(&url, "SELECT pg_backend_pid() FROM pg_sleep(0.05)");
        thread::scope(|scope| {
            let clients: Vec<_> = (0..12).map(|_| scope.spawn(backend)).collect();
            let backends = clients.into_iter().map(|client| client.join().unwrap());
            backends.collect()
        })
    };
    let first = backends();
    assert!(first.len() <= pgbouncer::CONNECTIONS, "{first:?}");
    bouncer.stop();
    assert!(nobody_is_on(bouncer.port));
    bouncer.start();
    assert!(backends().is_disjoint(&first));
    bouncer.kill();
    assert!(nobody_is_on(bouncer.port));
    bouncer.start();
    assert!(backends().is_disjoint(&first));
}

#[test]
fn pgbouncer_starts_without_postgres_and_connects_later() {
    let Some(mut postgres) = postgres::start() else {
        return;
    };
    postgres.stop();
    let Some(bouncer) = pgbouncer::start_with(&postgres, &[("max_client_conn", "20")]) else {
        return;
    };
    postgres.start();
    let url = bouncer.url_of("postgres");
    assert_eq!(postgres.psql(&url, "SELECT 1"), "1");
    let pools = postgres.psql(&bouncer.url_of("pgbouncer"), "SHOW CONFIG");
    assert!(pools.contains("max_client_conn|20|"), "{pools}");
}

#[test]
fn dropped_server_leaves_nothing_behind() {
    let Some(postgres) = postgres::start() else {
        return;
    };
    if let Some(bouncer) = pgbouncer::start(&postgres) {
        let trace = Trace::of(&bouncer);
        drop(bouncer);
        assert!(trace.is_gone());
    }
    let trace = Trace::of(&postgres);
    drop(postgres);
    assert!(trace.is_gone());

    let Some(mut redis) = redis::start() else {
        return;
    };
    redis.stop();
    let trace = Trace::of(&redis);
    drop(redis);
    assert!(trace.is_gone());
}

#[test]
fn server_of_a_panicking_test_leaves_nothing_behind() {
    let Some(redis) = redis::start() else {
        return;
    };
    let trace = Trace::of(&redis);
    let test = thread::spawn(move || {
        let _redis = redis;
        panic!("as a test that fails");
    });
    assert!(test.join().is_err());
    assert!(trace.is_gone());
}

#[test]
fn servers_in_statics_leave_nothing_behind() {
    let Some(mut another) = Another::starts() else {
        return;
    };
    drop(another.process.stdin.take());
    assert!(another.process.wait().expect("it ends").success());
    eventually(|| another.traces.iter().all(Trace::is_gone));
}

#[test]
fn servers_of_a_killed_process_leave_nothing_behind() {
    let Some(mut another) = Another::starts() else {
        return;
    };
    another.process.kill().expect("it runs");
    another.process.wait().expect("it ends");
    eventually(|| another.traces.iter().all(Trace::is_gone));
}

const OTHER: &str = "test_servers::servers_of_another_process";
const TRACE: &str = "a server is here: ";

#[test]
#[ignore = "two of the others start it"]
fn servers_of_another_process() {
    let (Some(postgres), Some(redis)) = (postgres::shared(), redis::start()) else {
        return;
    };
    Trace::of(postgres).say();
    Trace::of(&redis).say();
    // In a terminal the input would not end.
    if !io::stdin().is_terminal() {
        io::copy(&mut io::stdin(), &mut io::sink()).expect("it comes to its end");
    }
}

/// Another process with a shared PostgreSQL and a Redis server.
struct Another {
    /// Ends when its input is closed.
    process: Child,
    traces: [Trace; 2],
}

impl Another {
    fn starts() -> Option<Self> {
        let mut process = Command::new(env::current_exe().expect("this program"))
            .args(["--exact", OTHER, "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut traces = Vec::new();
        let errors = BufReader::new(process.stderr.as_mut().expect("it is piped"));
        for line in errors.lines().map_while(Result::ok) {
            let Some(trace) = line.strip_prefix(TRACE) else {
                let _ = writeln!(io::stderr(), "{line}");
                continue;
            };
            traces.push(Trace::heard(trace));
            if traces.len() == 2 {
                break;
            }
        }
        if let Ok(traces) = traces.try_into() {
            return Some(Self { process, traces });
        }
        let ended = process.wait().expect("it said all");
        assert!(ended.success(), "it has no servers");
        None
    }
}

/// Traces that a server would leave behind.
struct Trace {
    port: u16,
    directory: PathBuf,
}

impl Trace {
    fn of<P: Program>(server: &Server<P>) -> Self {
        let directory = server.directory.path();
        assert!(directory.is_dir());
        Self {
            port: server.port,
            directory: directory.to_owned(),
        }
    }

    fn say(&self) {
        eprintln!("{TRACE}{} {}", self.port, self.directory.display());
    }

    fn heard(trace: &str) -> Self {
        let (port, directory) = trace.split_once(' ').expect("two words");
        Self {
            port: port.parse().expect("a port"),
            directory: directory.into(),
        }
    }

    fn is_gone(&self) -> bool {
        nobody_is_on(self.port) && !self.directory.exists()
    }
}

fn nobody_is_on(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()
}

/// Polls a condition that has no notification.
fn eventually(holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(60), "it never holds");
        thread::sleep(Duration::from_millis(10));
    }
}
