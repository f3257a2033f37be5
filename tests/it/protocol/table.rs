//! Every outcome of a call in every state of the record, one row each.

use std::time::Duration;

use notion_auth::{
    AuthError, ReauthorizationReason, Subject, provider::Failpoint, store::RecordState,
    testing::MockNotion,
};
use serde_json::json;
use tokio::time::sleep;

use super::{
    cluster::{AGES, Cluster},
    life::Stop,
    record::edit,
    wire::WireFault,
};

/// The situation of the refreshing process, or a change during the refresh.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Situation {
    /// No other attempt holds the lease.
    Free,
    /// A dead attempt holds the lease.
    HeldByTheDead,
    /// Another process is refreshing, and succeeds.
    HeldByTheLiving,
    BackingOff,
    Invalidated,
    Disconnected,
    Absent,
    /// The user connects again while the response is on its way.
    Reconnected,
    /// The user disconnects while the response is on its way.
    DisconnectedMeanwhile,
}

/// Outcome of the token call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Wire(WireFault),
    /// The user has removed the connection at Notion.
    Revoked,
}

/// Outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    Good,
    Transient,
    AppRejected,
    NotConnected,
    Reauthorize(ReauthorizationReason),
}

impl Answer {
    fn of(result: &Result<u16, AuthError>) -> Self {
        match result {
            Ok(200) => Self::Good,
            Ok(status) => panic!("status {status}"),
            Err(error) if error.is_transient() => Self::Transient,
            Err(error) if error.is_not_connected() => Self::NotConnected,
            Err(error) if error.is_configuration() => Self::AppRejected,
            Err(error) => match error.needs_reauthorization() {
                Some(reason) => Self::Reauthorize(reason),
                None => panic!("{error}"),
            },
        }
    }
}

const REVOKED: Answer = Answer::Reauthorize(ReauthorizationReason::Revoked);
const LOST: Answer = Answer::Reauthorize(ReauthorizationReason::RotationLost);

use Answer::{AppRejected, Good, NotConnected, Transient};
use Situation::{
    Absent, BackingOff, Disconnected, DisconnectedMeanwhile, Free, HeldByTheDead, HeldByTheLiving,
    Invalidated, Reconnected,
};
use WireFault as W;

const LATE: W = W::Late(Duration::from_secs(6));

/// Situation, outcome of the call, outcomes of the first and a later request, and the number of refresh
/// tokens that reached Notion. All calls except the first succeed.
type Row = (Situation, Outcome, Answer, Answer, usize);

const ROWS: &[Row] = &[
    (Free, Outcome::Wire(W::None), Good, Good, 1),
    (Free, Outcome::Wire(LATE), Good, Good, 1),
    (Free, Outcome::Wire(W::NotSent), Transient, Good, 1),
    (Free, Outcome::Wire(W::RateLimited), Transient, Good, 1),
    (Free, Outcome::Wire(W::InvalidRequest), Transient, Good, 1),
    (Free, Outcome::Wire(W::InvalidClient), AppRejected, Good, 1),
    (Free, Outcome::Wire(W::LostBefore), Good, Good, 1),
    (Free, Outcome::Wire(W::Status500Before), Good, Good, 1),
    (Free, Outcome::Wire(W::LostAfter), LOST, LOST, 2),
    (Free, Outcome::Wire(W::Status500After), LOST, LOST, 2),
    (Free, Outcome::Wire(W::GarbledAfter), LOST, LOST, 2),
    (Free, Outcome::Wire(W::SilentAfter), LOST, LOST, 2),
    (Free, Outcome::Revoked, REVOKED, REVOKED, 1),
    // A process that takes over does not know the outcome of the dead one's call.
    (HeldByTheDead, Outcome::Wire(W::None), Transient, Good, 1),
    (HeldByTheDead, Outcome::Wire(LATE), Transient, Good, 1),
    (HeldByTheDead, Outcome::Wire(W::NotSent), Transient, Good, 1),
    (
        HeldByTheDead,
        Outcome::Wire(W::RateLimited),
        Transient,
        Good,
        1,
    ),
    (
        HeldByTheDead,
        Outcome::Wire(W::InvalidRequest),
        Transient,
        Good,
        1,
    ),
    (
        HeldByTheDead,
        Outcome::Wire(W::InvalidClient),
        Transient,
        Good,
        1,
    ),
    (
        HeldByTheDead,
        Outcome::Wire(W::LostBefore),
        Transient,
        Good,
        1,
    ),
    (
        HeldByTheDead,
        Outcome::Wire(W::Status500Before),
        Transient,
        Good,
        1,
    ),
    (
        HeldByTheDead,
        Outcome::Wire(W::LostAfter),
        Transient,
        LOST,
        2,
    ),
    (
        HeldByTheDead,
        Outcome::Wire(W::Status500After),
        Transient,
        LOST,
        2,
    ),
    (
        HeldByTheDead,
        Outcome::Wire(W::GarbledAfter),
        Transient,
        LOST,
        2,
    ),
    (
        HeldByTheDead,
        Outcome::Wire(W::SilentAfter),
        Transient,
        LOST,
        2,
    ),
    (HeldByTheDead, Outcome::Revoked, Transient, LOST, 1),
    // The call is the other process's.
    (HeldByTheLiving, Outcome::Wire(W::None), Good, Good, 1),
    (HeldByTheLiving, Outcome::Wire(LATE), Good, Good, 1),
    // The other process backs off, and this one does not.
    (HeldByTheLiving, Outcome::Wire(W::NotSent), Good, Good, 1),
    (
        HeldByTheLiving,
        Outcome::Wire(W::RateLimited),
        Transient,
        Good,
        1,
    ),
    (
        HeldByTheLiving,
        Outcome::Wire(W::InvalidRequest),
        Transient,
        Good,
        1,
    ),
    (
        HeldByTheLiving,
        Outcome::Wire(W::InvalidClient),
        Good,
        Good,
        1,
    ),
    (HeldByTheLiving, Outcome::Wire(W::LostBefore), Good, Good, 1),
    (
        HeldByTheLiving,
        Outcome::Wire(W::Status500Before),
        Good,
        Good,
        1,
    ),
    (HeldByTheLiving, Outcome::Wire(W::LostAfter), LOST, LOST, 2),
    (
        HeldByTheLiving,
        Outcome::Wire(W::Status500After),
        LOST,
        LOST,
        2,
    ),
    (
        HeldByTheLiving,
        Outcome::Wire(W::GarbledAfter),
        LOST,
        LOST,
        2,
    ),
    // This request gives up before the other process knows the outcome.
    (
        HeldByTheLiving,
        Outcome::Wire(W::SilentAfter),
        Transient,
        LOST,
        2,
    ),
    (HeldByTheLiving, Outcome::Revoked, REVOKED, REVOKED, 1),
    // As above, after the time has passed.
    (BackingOff, Outcome::Wire(W::None), Transient, Good, 1),
    (BackingOff, Outcome::Wire(LATE), Transient, Good, 1),
    (BackingOff, Outcome::Wire(W::NotSent), Transient, Good, 1),
    (
        BackingOff,
        Outcome::Wire(W::RateLimited),
        Transient,
        Good,
        1,
    ),
    (
        BackingOff,
        Outcome::Wire(W::InvalidRequest),
        Transient,
        Good,
        1,
    ),
    (
        BackingOff,
        Outcome::Wire(W::InvalidClient),
        Transient,
        Good,
        1,
    ),
    (BackingOff, Outcome::Wire(W::LostBefore), Transient, Good, 1),
    (
        BackingOff,
        Outcome::Wire(W::Status500Before),
        Transient,
        Good,
        1,
    ),
    (BackingOff, Outcome::Wire(W::LostAfter), Transient, LOST, 2),
    (
        BackingOff,
        Outcome::Wire(W::Status500After),
        Transient,
        LOST,
        2,
    ),
    (
        BackingOff,
        Outcome::Wire(W::GarbledAfter),
        Transient,
        LOST,
        2,
    ),
    (
        BackingOff,
        Outcome::Wire(W::SilentAfter),
        Transient,
        LOST,
        2,
    ),
    (BackingOff, Outcome::Revoked, Transient, REVOKED, 1),
    // The user's change stands, whatever the outcome of the call is.
    (Reconnected, Outcome::Wire(W::None), Good, Good, 1),
    (Reconnected, Outcome::Wire(LATE), Good, Good, 1),
    (Reconnected, Outcome::Wire(W::NotSent), Good, Good, 0),
    (Reconnected, Outcome::Wire(W::RateLimited), Good, Good, 0),
    (Reconnected, Outcome::Wire(W::InvalidRequest), Good, Good, 0),
    (Reconnected, Outcome::Wire(W::InvalidClient), Good, Good, 0),
    (Reconnected, Outcome::Wire(W::LostBefore), Good, Good, 0),
    (
        Reconnected,
        Outcome::Wire(W::Status500Before),
        Good,
        Good,
        0,
    ),
    (Reconnected, Outcome::Wire(W::LostAfter), Good, Good, 1),
    (Reconnected, Outcome::Wire(W::Status500After), Good, Good, 1),
    (Reconnected, Outcome::Wire(W::GarbledAfter), Good, Good, 1),
    (Reconnected, Outcome::Wire(W::SilentAfter), Good, Good, 1),
    (Reconnected, Outcome::Revoked, Good, Good, 1),
    (
        DisconnectedMeanwhile,
        Outcome::Wire(W::None),
        NotConnected,
        NotConnected,
        1,
    ),
    (
        DisconnectedMeanwhile,
        Outcome::Wire(LATE),
        NotConnected,
        NotConnected,
        1,
    ),
    (
        DisconnectedMeanwhile,
        Outcome::Wire(W::NotSent),
        NotConnected,
        NotConnected,
        0,
    ),
    (
        DisconnectedMeanwhile,
        Outcome::Wire(W::RateLimited),
        NotConnected,
        NotConnected,
        0,
    ),
    (
        DisconnectedMeanwhile,
        Outcome::Wire(W::InvalidRequest),
        NotConnected,
        NotConnected,
        0,
    ),
    (
        DisconnectedMeanwhile,
        Outcome::Wire(W::InvalidClient),
        NotConnected,
        NotConnected,
        0,
    ),
    (
        DisconnectedMeanwhile,
        Outcome::Wire(W::LostBefore),
        NotConnected,
        NotConnected,
        0,
    ),
    (
        DisconnectedMeanwhile,
        Outcome::Wire(W::Status500Before),
        NotConnected,
        NotConnected,
        0,
    ),
    (
        DisconnectedMeanwhile,
        Outcome::Wire(W::LostAfter),
        NotConnected,
        NotConnected,
        1,
    ),
    (
        DisconnectedMeanwhile,
        Outcome::Wire(W::Status500After),
        NotConnected,
        NotConnected,
        1,
    ),
    (
        DisconnectedMeanwhile,
        Outcome::Wire(W::GarbledAfter),
        NotConnected,
        NotConnected,
        1,
    ),
    (
        DisconnectedMeanwhile,
        Outcome::Wire(W::SilentAfter),
        NotConnected,
        NotConnected,
        1,
    ),
    (
        DisconnectedMeanwhile,
        Outcome::Revoked,
        NotConnected,
        NotConnected,
        1,
    ),
];

/// If there is nothing to refresh, no call is made.
const NO_CALL: &[(Situation, Answer)] = &[
    (Invalidated, REVOKED),
    (Disconnected, NotConnected),
    (Absent, NotConnected),
];

/// I1 by the number of presentations, I3 by the outcomes.
#[test]
fn every_outcome_in_every_situation_is_handled() {
    let mut wrong = Vec::new();
    let outcomes = WireFault::ALL.into_iter().map(Outcome::Wire);
    let no_call = outcomes.chain([Outcome::Revoked]).flat_map(|outcome| {
        let row = move |&(situation, answer)| (situation, outcome, answer, answer, 0);
        NO_CALL.iter().map(row)
    });
    for row in ROWS.iter().copied().chain(no_call) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (situation, outcome, first, last, presentations) = row;
        let found = runtime.block_on(run(situation, outcome));
        if found != (first, last, presentations) {
            wrong.push(format!("{row:?}: found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn run(situation: Situation, outcome: Outcome) -> (Answer, Answer, usize) {
    // Half a second: longer than network delays, shorter than the protocol's times.
    const MOMENT: Duration = Duration::from_millis(500);

    let cluster = Cluster::new(MockNotion::in_process(), 2, 1);
    let subject = Subject::new("ann");
    let bot = cluster.connect(&subject).await;
    cluster.refuse(&bot);
    match outcome {
        Outcome::Wire(fault) => cluster.wire_faults.push(fault),
        Outcome::Revoked => {
            let (_, refresh) = cluster.notion.ledger().living_pair(&bot).unwrap();
            cluster.notion.revoke_grant(&refresh);
        }
    }
    let mut busy = None;
    match situation {
        Free => {}
        HeldByTheDead => {
            // The lease of a dead attempt.
            edit(&cluster.store, &subject, |record, now| {
                record["lease"] = json!({
                    "attempt": "0123456789abcdef0123456789abcdef", "since": now,
                    "duration": 30_000_000, "in_doubt": false,
                });
            })
            .await;
        }
        HeldByTheLiving => {
            let process = &cluster.processes[1];
            process.life.arm(Failpoint::Leased, Stop::Sleep(MOMENT * 2));
            busy = Some(tokio::spawn(cluster.request(process, &subject)));
            sleep(MOMENT).await;
        }
        BackingOff => {
            edit(&cluster.store, &subject, |record, now| {
                record["back_off_until"] = json!(now + 100_000_000);
            })
            .await;
        }
        Invalidated => {
            edit(&cluster.store, &subject, |record, _| {
                record["state"] = json!("revoked");
            })
            .await;
        }
        Disconnected => {
            let operator = &cluster.operator.provider;
            operator.delete_credentials(&subject).await.unwrap();
        }
        Absent => {}
        Reconnected | DisconnectedMeanwhile => {
            let life = &cluster.processes[0].life;
            life.arm(Failpoint::Answered, Stop::Sleep(MOMENT * 2));
        }
    }
    let asked = if situation == Absent {
        Subject::new("nobody")
    } else {
        subject.clone()
    };
    let first = tokio::spawn(cluster.request(&cluster.processes[0], &asked));
    let answered = match outcome {
        Outcome::Wire(W::Late(time)) => time + MOMENT,
        _ => MOMENT,
    };
    sleep(answered).await;
    match situation {
        Reconnected => drop(cluster.connect(&subject).await),
        DisconnectedMeanwhile => {
            let operator = &cluster.operator.provider;
            operator.disconnect(&subject).await.unwrap();
        }
        _ => {}
    }
    let first = match first.await.unwrap() {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err(AuthError::find(&*error).unwrap().clone()),
    };
    sleep(AGES).await;
    let mut last = cluster.ask(0, &asked).await;
    for _ in 0..20 {
        if !last
            .as_ref()
            .is_err_and(|error| error.is_transient() || error.is_configuration())
        {
            break;
        }
        sleep(Duration::from_secs(30)).await;
        last = cluster.ask(0, &asked).await;
    }
    if let Some(record) = cluster.record(&asked).await {
        let is_good = record.state == RecordState::Active;
        assert_eq!(
            is_good,
            last.is_ok(),
            "{situation:?} {outcome:?}: {record:?}"
        );
    }
    drop(busy);
    let presentations = cluster.history.events().presentations.len();
    (Answer::of(&first), Answer::of(&last), presentations)
}
