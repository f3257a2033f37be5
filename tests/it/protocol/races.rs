//! Races between processes, one by one.

use std::{sync::atomic::Ordering, time::Duration};

use notion_auth::{ReauthorizationReason, Subject, provider::Point, testing::MockNotion};
use tokio::time::sleep;

use super::{
    cluster::{AGES, Cluster},
    life::Stop,
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

#[tokio::test(start_paused = true)]
async fn a_holder_cut_off_from_the_store_for_a_minute_still_commits() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let life = &cluster.processes[0].life;
    life.arm(Point::Saving, Stop::Sleep(seconds(1)));
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

#[tokio::test(start_paused = true)]
async fn what_a_holder_saves_late_replaces_a_rotation_called_lost() {
    let notion = MockNotion::builder().family_revocation(false);
    let (cluster, subject, _) = refused(notion.in_process()).await;
    // It sleeps with the new pair in hand for longer than anybody waits for it.
    let life = &cluster.processes[0].life;
    life.arm(Point::Saving, Stop::Sleep(seconds(300)));
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

#[tokio::test(start_paused = true)]
async fn a_process_that_slept_after_its_claim_does_not_spend_what_was_replayed_since() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let life = &cluster.processes[0].life;
    life.arm(Point::Claimed, Stop::Sleep(seconds(200)));
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

#[tokio::test(start_paused = true)]
async fn a_suspension_that_only_the_wall_clock_saw_is_noticed() {
    let (cluster, subject, _) = refused(MockNotion::in_process()).await;
    let process = &cluster.processes[0];
    process
        .life
        .arm(Point::Claimed, Stop::Sleep(Duration::from_millis(10)));
    let request = tokio::spawn(cluster.request(process, &subject));
    sleep(Duration::from_millis(5)).await;
    process.clock.step_wall_forward(seconds(100));
    // It starts again with a claim of its own age, and succeeds.
    assert_eq!(request.await.unwrap().unwrap().status(), 200);
    assert_eq!(presentations(&cluster), 1);
    assert_eq!(cluster.record(&subject).await.unwrap().generation, 2);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_died_at_any_point_is_followed_by_another() {
    for point in Point::ALL {
        let notion = MockNotion::builder().grace(seconds(3600));
        let (cluster, subject, bot) = refused(notion.in_process()).await;
        let fault = match point {
            Point::InDoubt => WireFault::LostAfter,
            Point::Releasing => WireFault::RateLimited,
            _ => WireFault::None,
        };
        if point == Point::Condemning {
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
        if point == Point::Condemning {
            let lost = ReauthorizationReason::RotationLost;
            assert_eq!(last.unwrap_err().needs_reauthorization(), Some(lost));
        } else {
            assert_eq!(last.unwrap(), 200, "after dying at {point:?}");
        }
        request.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn one_store_outage_before_between_or_after_loses_nothing() {
    for (point, lasts) in [
        (Point::Read, 30),
        (Point::Claiming, 30),
        (Point::Claimed, 30),
        (Point::Answered, 30),
        (Point::Saving, 3600),
        (Point::Saved, 30),
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
