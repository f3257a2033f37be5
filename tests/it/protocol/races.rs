//! Races between processes, one by one.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use notion_auth::{
    ReauthorizationReason, Subject,
    provider::Failpoint,
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{
    cluster::{AGES, Cluster},
    life::Stop,
    record::edit,
    store::StoreFault,
    wire::WireFault,
};

/// Two processes and one subject, whose access token was revoked without notice.
async fn refused(notion: MockNotion) -> (Cluster, Subject, String) {
    let cluster = Cluster::new(notion, 2, 1);
    let subject = Subject::new("ann");
    let bot = cluster.connect(&subject).await;
    cluster.refuse(&bot);
    (cluster, subject, bot)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn presentations(cluster: &Cluster) -> usize {
    cluster.history.events().presentations.len()
}

/// I1, I3: the late commit makes a replay unnecessary.
#[tokio::test(start_paused = true)]
async fn holder_without_the_store_for_a_minute_still_commits() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let life = &cluster.processes[0].life;
    life.arm(Failpoint::Committing, Stop::Sleep(seconds(1)));
    let request = tokio::spawn(cluster.request(&cluster.processes[0], &subject));
    sleep(Duration::from_millis(500)).await;
    cluster.processes[0].cut_off.store(true, Ordering::Relaxed);

    // Its lease has expired, and another process wants to refresh. It must wait.
    sleep(seconds(40)).await;
    assert!(cluster.ask(1, &subject).await.is_err());
    sleep(seconds(15)).await;
    assert_eq!(
        presentations(&cluster),
        1,
        "the token was replayed too soon"
    );

    cluster.processes[0].cut_off.store(false, Ordering::Relaxed);
    sleep(seconds(10)).await;
    assert_eq!(cluster.ask(1, &subject).await.unwrap(), 200);
    assert_eq!(presentations(&cluster), 1);
    drop(request);
}

/// I1, I3: a take-over lets the holder commit first.
///
/// A holder that was cut off from the store comes back when its lease can be taken over, and commits its
/// pair. Returns how often the refresh token was presented. The other process may have had a failed
/// disconnect shortly before.
async fn back_before_the_take_over(seed: u64, has_failed_disconnect: bool) -> usize {
    let cluster = Arc::new(Cluster::new(MockNotion::in_process(), 2, seed));
    let subject = Subject::new("ann");
    let bot = cluster.connect(&subject).await;
    cluster.refuse(&bot);
    let [holder, other] = &cluster.processes[..] else {
        panic!("two processes")
    };
    holder
        .life
        .arm(Failpoint::Committing, Stop::Sleep(seconds(1)));
    let request = tokio::spawn(cluster.request(holder, &subject));
    let began = Instant::now();
    sleep(Duration::from_millis(500)).await;
    holder.cut_off.store(true, Ordering::Relaxed);
    let requests = tokio::spawn({
        let (cluster, subject) = (Arc::clone(&cluster), subject.clone());
        async move {
            loop {
                drop(cluster.ask(1, &subject).await);
                sleep(Duration::from_millis(100)).await;
            }
        }
    });
    // The lease can be taken over when it is 95 s old. The other process checks it every 5 s, so the time
    // depends on chance.
    sleep_until(began + Duration::from_millis(95_500 + 450 * seed)).await;
    if has_failed_disconnect {
        cluster.store_faults.push(StoreFault::Refuse);
        other.provider.disconnect(&subject).await.unwrap_err();
    }
    sleep_until(began + Duration::from_millis(99_500)).await;
    holder.cut_off.store(false, Ordering::Relaxed);
    sleep(seconds(30)).await;
    requests.abort();
    assert_eq!(cluster.ask(1, &subject).await.unwrap(), 200, "seed {seed}");
    drop(request);
    presentations(&cluster)
}

#[tokio::test(start_paused = true)]
async fn returning_holder_commits_before_a_take_over() {
    for seed in 1..=8 {
        let presented = back_before_the_take_over(seed, false).await;
        assert_eq!(presented, 1, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn failed_disconnect_does_not_shorten_the_pause_before_a_take_over() {
    for seed in 1..=8 {
        let presented = back_before_the_take_over(seed, true).await;
        assert_eq!(presented, 1, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn step_of_the_stores_clock_does_not_end_a_living_lease() {
    for step in [3600, -3600] {
        let (cluster, subject, _) = refused(MockNotion::in_process()).await;
        // The response takes 9 seconds.
        cluster
            .wire_faults
            .always(Some(WireFault::Late(seconds(9))));
        let first = tokio::spawn(cluster.request(&cluster.processes[0], &subject));
        sleep(seconds(1)).await;
        cluster.store_faults.step_clock(step);
        let began = Instant::now();
        while began.elapsed() < seconds(20) {
            drop(cluster.ask(1, &subject).await);
            sleep(Duration::from_millis(100)).await;
        }
        drop(first.await);
        assert_eq!(presentations(&cluster), 1, "a step of {step} s");
    }
}

#[tokio::test(start_paused = true)]
async fn step_back_of_the_stores_clock_does_not_lengthen_the_delay_after_refusals() {
    let (cluster, subject, bot) = refused(MockNotion::in_process()).await;
    assert_eq!(cluster.ask(0, &subject).await.unwrap(), 200);
    // The first successor is refused too, so the next refresh has to wait for 5 seconds.
    cluster.refuse(&bot);
    cluster.store_faults.step_clock(-3600);
    for process in [0, 1] {
        assert_eq!(cluster.ask(process, &subject).await.unwrap(), 401);
    }
    sleep(Duration::from_millis(4900)).await;
    for process in [0, 1] {
        assert_eq!(cluster.ask(process, &subject).await.unwrap(), 401);
    }
    sleep(Duration::from_millis(100)).await;
    assert_eq!(cluster.ask(1, &subject).await.unwrap(), 200);
    assert_eq!(presentations(&cluster), 2);
}

#[tokio::test(start_paused = true)]
async fn holder_saves_before_a_take_over_after_a_long_outage() {
    let notion = MockNotion::builder().family_revocation(true);
    let (cluster, subject, _) = refused(notion.in_process()).await;
    let life = &cluster.processes[0].life;
    life.arm(Failpoint::Committing, Stop::Sleep(seconds(1)));
    drop(tokio::spawn(
        cluster.request(&cluster.processes[0], &subject),
    ));
    sleep(Duration::from_millis(500)).await;
    cluster.store_faults.set_down(true);
    sleep(seconds(600)).await;

    // When the store is back, another process is the first to use it.
    cluster.store_faults.set_down(false);
    assert_eq!(cluster.ask(1, &subject).await.unwrap(), 200);
    assert_eq!(presentations(&cluster), 1, "the token was replayed");
}

/// I2, I3.
#[tokio::test(start_paused = true)]
async fn connect_without_a_response_overwrites_no_refresh() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let credentials = cluster.notion.connect();
    let access = credentials.access_token.expose().to_owned();
    for fault in [
        StoreFault::None,
        StoreFault::Lose,
        StoreFault::Slow(seconds(3)),
    ] {
        cluster.store_faults.push(fault);
    }
    let provider = cluster.processes[0].provider.clone();
    let ann = subject.clone();
    let connecting =
        tokio::spawn(async move { provider.store_credentials(&ann, credentials).await });
    sleep(seconds(1)).await;

    // The record is stored, and another process spends its refresh token before this one knows.
    cluster.notion.revoke_access_token(&access);
    assert_eq!(cluster.ask(1, &subject).await.unwrap(), 200);
    let refreshed = cluster.record(&subject).await.unwrap();
    // The lineage shows that it was stored.
    connecting.await.unwrap().unwrap();
    let kept = cluster.record(&subject).await.unwrap();
    assert_eq!(kept.generation, refreshed.generation);
    assert_eq!(kept.payload, refreshed.payload);
}

/// I2, I3: lineages differ even if generations are equal.
#[tokio::test(start_paused = true)]
async fn late_commit_after_a_reconnect_changes_nothing() {
    const HOUR: Duration = Duration::from_secs(60 * 60);

    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let life = &cluster.processes[0].life;
    life.arm(Failpoint::Committing, Stop::Sleep(30 * HOUR));
    drop(tokio::spawn(
        cluster.request(&cluster.processes[0], &subject),
    ));
    sleep(seconds(1)).await;

    // The connection ends and is purged, and a new one starts with the same generation.
    let other = &cluster.processes[1].provider;
    other.delete_credentials(&subject).await.unwrap();
    sleep(25 * HOUR).await;
    assert_eq!(other.purge_expired().await.unwrap(), 1);
    cluster.connect(&subject).await;
    let made = cluster.record(&subject).await.unwrap();
    assert_eq!(made.generation, 1);

    sleep(6 * HOUR).await;
    let kept = cluster.record(&subject).await.unwrap();
    assert_eq!((kept.lineage, kept.payload), (made.lineage, made.payload));
    assert_eq!(cluster.ask(1, &subject).await.unwrap(), 200);
}

/// I3: an invalidation keeps the fencing token.
#[tokio::test(start_paused = true)]
async fn late_save_replaces_rotation_lost() {
    let notion = MockNotion::builder().family_revocation(false);
    let (cluster, subject, _) = refused(notion.in_process()).await;
    // The holder is suspended after it received the new pair, for longer than other processes wait.
    let life = &cluster.processes[0].life;
    life.arm(Failpoint::Committing, Stop::Sleep(seconds(300)));
    let request = tokio::spawn(cluster.request(&cluster.processes[0], &subject));
    sleep(seconds(120)).await;
    let error = loop {
        match cluster.ask(1, &subject).await {
            Err(error) if error.is_transient() => sleep(seconds(5)).await,
            other => break other.unwrap_err(),
        }
    };
    let lost = ReauthorizationReason::RotationLost;
    assert_eq!(error.needs_reauthorization(), Some(lost));

    sleep(seconds(200)).await;
    assert_eq!(cluster.ask(1, &subject).await.unwrap(), 200);
    drop(request);
}

/// I8: the response to an invalidation is lost, and an operator reverts it before it is written again.
#[tokio::test(start_paused = true)]
async fn invalidation_written_again_does_not_undo_a_reinstate() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let wrong = Fault::refuse(400, "invalid_grant");
    cluster.notion.script(Call::Refresh, [wrong]);
    let life = &cluster.processes[0].life;
    for time in [1, 10] {
        life.arm(Failpoint::Invalidating, Stop::Sleep(seconds(time)));
    }
    let request = tokio::spawn(cluster.request(&cluster.processes[0], &subject));
    sleep(Duration::from_millis(500)).await;
    // Its read, and then its write.
    for fault in [StoreFault::None, StoreFault::Lose] {
        cluster.store_faults.push(fault);
    }
    sleep(seconds(3)).await;
    let ended = cluster.record(&subject).await.unwrap();
    assert_eq!(ended.reason(), Some(ReauthorizationReason::Revoked));
    let operator = &cluster.operator.provider;
    let lineage = ended.lineage.parse().unwrap();
    let reinstated = operator.reinstate(&subject, lineage, ended.generation);
    assert!(reinstated.await.unwrap());

    assert_eq!(request.await.unwrap().unwrap().status(), 200);
    assert_eq!(cluster.history.events().invalidations.len(), 1);
}

/// I1: what was read before an invalidation and its reinstate is read again before the token is presented.
#[tokio::test(start_paused = true)]
async fn process_suspended_over_a_reinstate_presents_the_token_once() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let wrong = || Fault::refuse(400, "invalid_grant");
    cluster.notion.script(Call::Refresh, [wrong(), wrong()]);
    let life = &cluster.processes[0].life;
    life.arm(Failpoint::Leasing, Stop::Sleep(seconds(10)));
    let request = tokio::spawn(cluster.request(&cluster.processes[0], &subject));
    sleep(seconds(1)).await;
    let revoked = Some(ReauthorizationReason::Revoked);
    let error = cluster.ask(1, &subject).await.unwrap_err();
    assert_eq!(error.needs_reauthorization(), revoked);
    let ended = cluster.record(&subject).await.unwrap();
    let operator = &cluster.operator.provider;
    let lineage = ended.lineage.parse().unwrap();
    let reinstated = operator.reinstate(&subject, lineage, ended.generation);
    assert!(reinstated.await.unwrap());

    request.await.unwrap().unwrap_err();
    let ended = cluster.record(&subject).await.unwrap();
    assert_eq!(ended.reason(), revoked);
    assert_eq!(presentations(&cluster), 2, "once by each process");
}

/// I1: the pre-send check.
#[tokio::test(start_paused = true)]
async fn process_suspended_after_its_lease_does_not_spend_a_replayed_token() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let life = &cluster.processes[0].life;
    life.arm(Failpoint::Leased, Stop::Sleep(seconds(200)));
    let sleeper = tokio::spawn(cluster.request(&cluster.processes[0], &subject));
    sleep(seconds(150)).await;
    // The other process has taken over and refreshed.
    while cluster.ask(1, &subject).await.is_err() {
        sleep(seconds(5)).await;
    }
    sleep(seconds(100)).await;
    assert_eq!(cluster.ask(0, &subject).await.unwrap(), 200);
    assert_eq!(presentations(&cluster), 1);
    drop(sleeper);
}

/// I1: the pre-send check reads both clocks.
#[tokio::test(start_paused = true)]
async fn suspension_seen_only_by_the_wall_clock_is_noticed() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let process = &cluster.processes[0];
    process
        .life
        .arm(Failpoint::Leased, Stop::Sleep(Duration::from_millis(10)));
    let request = tokio::spawn(cluster.request(process, &subject));
    sleep(Duration::from_millis(5)).await;
    process.clock.step_wall_forward(seconds(100));
    // It starts again with a new lease, and succeeds.
    assert_eq!(request.await.unwrap().unwrap().status(), 200);
    assert_eq!(presentations(&cluster), 1);
    assert_eq!(cluster.record(&subject).await.unwrap().generation, 2);
}

/// I3, I6.
#[tokio::test(start_paused = true)]
async fn process_killed_at_any_failpoint_is_taken_over() {
    for point in Failpoint::ALL {
        let notion = MockNotion::builder().grace(seconds(3600));
        let (cluster, subject, bot) = refused(notion.in_process()).await;
        let fault = match point {
            Failpoint::InDoubt => WireFault::LostAfter,
            Failpoint::Releasing => WireFault::RateLimited,
            _ => WireFault::None,
        };
        if point == Failpoint::Invalidating {
            let (_, refresh) = cluster.notion.ledger().living_pair(&bot).unwrap();
            cluster.notion.revoke_grant(&refresh);
        }
        cluster.wire_faults.push(fault);
        cluster.processes[0].life.arm(point, Stop::Die);
        let request = tokio::spawn(cluster.request(&cluster.processes[0], &subject));
        sleep(AGES).await;
        assert!(
            cluster.processes[0].life.is_dead(),
            "{point:?} was not reached"
        );

        let mut answers = Vec::new();
        for _ in 0..30 {
            answers.push(cluster.ask(1, &subject).await);
            sleep(seconds(30)).await;
        }
        let last = answers.pop().unwrap();
        if point == Failpoint::Invalidating {
            let lost = ReauthorizationReason::RotationLost;
            assert_eq!(last.unwrap_err().needs_reauthorization(), Some(lost));
        } else {
            assert_eq!(last.unwrap(), 200, "after dying at {point:?}");
        }
        request.abort();
    }
}

/// I3.
#[tokio::test(start_paused = true)]
async fn store_outage_at_any_step_loses_nothing() {
    for (point, lasts) in [
        (Failpoint::Loaded, 30),
        (Failpoint::Leasing, 30),
        (Failpoint::Leased, 30),
        (Failpoint::Answered, 30),
        (Failpoint::Committing, 3600),
        (Failpoint::Committed, 30),
    ] {
        let (cluster, subject, _) = refused(MockNotion::in_process()).await;
        let life = &cluster.processes[0].life;
        life.arm(point, Stop::Sleep(seconds(1)));
        let request = tokio::spawn(cluster.request(&cluster.processes[0], &subject));
        sleep(Duration::from_millis(500)).await;
        cluster.store_faults.set_down(true);
        sleep(seconds(lasts)).await;
        cluster.store_faults.set_down(false);
        sleep(AGES).await;
        assert_eq!(cluster.ask(0, &subject).await.unwrap(), 200, "{point:?}");
        assert_eq!(cluster.ask(1, &subject).await.unwrap(), 200, "{point:?}");
        request.abort();
    }
}

/// I1: a lease in doubt is never released. I3: the loss has the right reason.
#[tokio::test(start_paused = true)]
async fn lease_stays_in_doubt_if_the_take_over_has_no_response() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let life = &cluster.processes[0].life;
    life.arm(Failpoint::Answered, Stop::Die);
    let dead = tokio::spawn(cluster.request(&cluster.processes[0], &subject));
    sleep(seconds(300)).await;
    let lease = async || cluster.record(&subject).await.unwrap().lease.unwrap();
    let of_the_dead = lease().await.attempt;
    // It is taken over, and no process hears of it.
    cluster.store_faults.lose_next_swap();
    while lease().await.attempt == of_the_dead {
        cluster.ask(1, &subject).await.unwrap_err();
        sleep(seconds(1)).await;
    }
    assert!(lease().await.in_doubt);
    assert_eq!(presentations(&cluster), 1);
    let mut last = cluster.ask(1, &subject).await;
    for _ in 0..30 {
        sleep(seconds(10)).await;
        last = cluster.ask(1, &subject).await;
    }
    let lost = ReauthorizationReason::RotationLost;
    assert_eq!(last.unwrap_err().needs_reauthorization(), Some(lost));
    dead.abort();
}

/// The error names a holder that renews its lease forever, and not a changing record.
#[tokio::test(start_paused = true)]
async fn task_that_polls_a_lease_for_too_long_names_the_lease() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let mut requests = JoinSet::new();
    for second in 0..400 {
        if second % 5 == 0 {
            edit(&cluster.store, &subject, |record, now| {
                record["lease"] = json!({
                    "attempt": "0123456789abcdef0123456789abcdef",
                    "since": now,
                    "duration": 30_000_000,
                    "in_doubt": false,
                });
            })
            .await;
        }
        requests.spawn(cluster.request(&cluster.processes[0], &subject));
        sleep(seconds(1)).await;
    }
    let errors = requests.join_all().await;
    let errors = errors.into_iter().map(|it| it.unwrap_err().to_string());
    let errors: HashSet<String> = errors.collect();
    let holder = |it: &&String| it.contains("another process holds the refresh lease");
    assert!(errors.iter().any(|it| holder(&it)), "{errors:?}");
    let changes = |it: &String| it.contains("changed again and again");
    assert!(!errors.iter().any(changes), "{errors:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_zero_still_pauses() {
    for first in [WireFault::LostAfter, WireFault::RateLimitedForNoTime] {
        let notion = MockNotion::builder().grace(seconds(3600));
        let (cluster, subject, _) = refused(notion.in_process()).await;
        cluster.wire_faults.push(first);
        let always = WireFault::RateLimitedForNoTime;
        cluster.wire_faults.always(Some(always));
        let request = tokio::spawn(cluster.request(&cluster.processes[0], &subject));
        for _ in 0..200 {
            let asked = cluster.request(&cluster.processes[0], &subject);
            drop(tokio::spawn(asked));
            sleep(Duration::from_millis(100)).await;
        }
        let calls = cluster.wire_faults.calls();
        assert!(calls < 20, "{calls} calls in 20 seconds after {first:?}");
        request.abort();
    }
}

/// I5, across processes.
#[tokio::test(start_paused = true)]
async fn explicit_refresh_waits_for_that_of_a_peer() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    cluster.wire_faults.push(WireFault::Late(seconds(2)));
    let peer = tokio::spawn(cluster.request(&cluster.processes[0], &subject));
    sleep(Duration::from_millis(200)).await;
    let provider = cluster.processes[1].provider.clone();
    let (asked, request) = tokio::join!(provider.refresh(&subject), cluster.ask(1, &subject));
    assert_eq!(asked.unwrap().generation(), 2);
    assert_eq!(request.unwrap(), 200);
    assert_eq!(peer.await.unwrap().unwrap().status(), 200);
    assert_eq!(presentations(&cluster), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_do_not_wait_for_a_long_back_off_of_another_process() {
    let notion = MockNotion::builder().grace(seconds(7200));
    let (cluster, subject, _) = refused(notion.in_process()).await;
    cluster.wire_faults.always(Some(WireFault::LostAfter));
    let first = tokio::spawn(cluster.request(&cluster.processes[0], &subject));
    sleep(seconds(1800)).await;
    let start = Instant::now();
    for process in 0..2 {
        let error = cluster.ask(process, &subject).await.unwrap_err();
        assert!(error.is_transient());
    }
    let waited = start.elapsed();
    assert!(waited < seconds(5), "{waited:?}");
    first.abort();
}
