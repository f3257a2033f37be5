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

/// Two processes and one subject, whose access token has ended without notice.
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

/// I1, I3: the late commit makes a replay needless.
#[tokio::test(start_paused = true)]
async fn a_holder_cut_off_from_the_store_for_a_minute_still_commits() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let life = &cluster.processes[0].life;
    life.arm(Failpoint::Committing, Stop::Sleep(seconds(1)));
    let request = tokio::spawn(cluster.request(&cluster.processes[0], &subject));
    sleep(Duration::from_millis(500)).await;
    cluster.processes[0].cut_off.store(true, Ordering::Relaxed);

    // Its lease is over, and another process wants to refresh: it must wait.
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
/// A holder that was cut off from the store comes back when others may take its lease over, and commits its pair. Returns
/// how often the refresh token was presented. The other process may have a disconnect that fails, shortly before.
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
    // The lease can be taken over when it is 95 s old. The other process looks at it every 5 s, so when depends on chance.
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
async fn holder_that_comes_back_commits_before_others_take_its_lease_over() {
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
        // The answer takes 9 seconds.
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
    // The first successor is refused too: the next refresh has to wait for 5 seconds.
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
async fn after_a_long_outage_of_the_store_the_holder_saves_before_others_take_over() {
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

    // When it is back, another process is the first to ask it.
    cluster.store_faults.set_down(false);
    assert_eq!(cluster.ask(1, &subject).await.unwrap(), 200);
    assert_eq!(presentations(&cluster), 1, "the token was replayed");
}

/// I2, I3.
#[tokio::test(start_paused = true)]
async fn a_connect_whose_answer_was_lost_does_not_overwrite_what_was_refreshed_since() {
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

    // It is stored, and another process spends its refresh token before it is known here.
    cluster.notion.revoke_access_token(&access);
    assert_eq!(cluster.ask(1, &subject).await.unwrap(), 200);
    let refreshed = cluster.record(&subject).await.unwrap();
    // By its lineage it is known as stored.
    connecting.await.unwrap().unwrap();
    let kept = cluster.record(&subject).await.unwrap();
    assert_eq!(kept.generation, refreshed.generation);
    assert_eq!(kept.payload, refreshed.payload);
}

/// I2, I3: lineages differ although generations repeat.
#[tokio::test(start_paused = true)]
async fn late_commit_after_a_reconnect_changes_nothing_however_late() {
    const HOUR: Duration = Duration::from_secs(60 * 60);

    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let life = &cluster.processes[0].life;
    life.arm(Failpoint::Committing, Stop::Sleep(30 * HOUR));
    drop(tokio::spawn(
        cluster.request(&cluster.processes[0], &subject),
    ));
    sleep(seconds(1)).await;

    // Its connection ends and is purged, and another one begins with the same generation.
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
async fn what_a_holder_saves_late_replaces_a_rotation_called_lost() {
    let notion = MockNotion::builder().family_revocation(false);
    let (cluster, subject, _) = refused(notion.in_process()).await;
    // It sleeps with the new pair in hand for longer than anybody waits for it.
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

/// I8: the answer to an invalidation is lost, and an operator undoes it before it is written again.
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
    // The other one has taken over and refreshed.
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
async fn a_suspension_that_only_the_wall_clock_saw_is_noticed() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let process = &cluster.processes[0];
    process
        .life
        .arm(Failpoint::Leased, Stop::Sleep(Duration::from_millis(10)));
    let request = tokio::spawn(cluster.request(process, &subject));
    sleep(Duration::from_millis(5)).await;
    process.clock.step_wall_forward(seconds(100));
    // It starts again with a lease of its own age, and succeeds.
    assert_eq!(request.await.unwrap().unwrap().status(), 200);
    assert_eq!(presentations(&cluster), 1);
    assert_eq!(cluster.record(&subject).await.unwrap().generation, 2);
}

/// I3, I6.
#[tokio::test(start_paused = true)]
async fn a_process_that_died_at_any_point_is_followed_by_another() {
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
async fn one_store_outage_before_between_or_after_loses_nothing() {
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

/// I1: a lease in doubt is never released. I3: the loss has the right label.
#[tokio::test(start_paused = true)]
async fn a_doubt_is_kept_when_the_answer_to_its_takeover_is_lost() {
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

/// A holder that renews its lease for ever is named as the reason, and not a record that changes.
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
async fn leave_to_come_again_at_once_is_not_taken_at_its_word() {
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
async fn a_refresh_that_was_asked_for_waits_for_a_peers() {
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
