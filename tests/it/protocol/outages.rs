//! The token endpoint fails for a long time, or all its responses are lost.

use std::time::Duration;

use notion_auth::{ReauthorizationReason, Subject, testing::MockNotion};
use tokio::time::{Instant, sleep};

use super::{
    cluster::{AGES, Cluster},
    wire::WireFault,
};

const SUBJECTS: usize = 10;

/// Sends a request for each subject every half minute through both processes, while every call has this
/// fault.
async fn endure(notion: MockNotion, fault: WireFault, lasts: Duration) -> (Cluster, Vec<Subject>) {
    let cluster = Cluster::new(notion, 2, 1);
    let mut subjects = Vec::new();
    for number in 0..SUBJECTS {
        let subject = Subject::new(format!("subject-{number}"));
        let bot = cluster.connect(&subject).await;
        cluster.refuse(&bot);
        subjects.push(subject);
    }
    cluster.wire_faults.always(Some(fault));
    let start = Instant::now();
    while start.elapsed() < lasts {
        for subject in &subjects {
            for process in 0..2 {
                let request = cluster.request(&cluster.processes[process], subject);
                drop(tokio::spawn(request));
            }
        }
        sleep(Duration::from_secs(30)).await;
    }
    cluster.wire_faults.always(None);
    sleep(AGES).await;
    (cluster, subjects)
}

async fn assert_all_well(cluster: &Cluster, subjects: &[Subject]) {
    for subject in subjects {
        for process in 0..2 {
            let answer = cluster.ask(process, subject).await;
            assert_eq!(answer.unwrap(), 200, "{}", subject.as_str());
        }
    }
}

/// I3, and I5: afterwards one exchange per subject.
#[tokio::test(start_paused = true)]
async fn failing_token_endpoint_ends_no_connection() {
    for fault in [
        WireFault::Status500Before,
        WireFault::LostBefore,
        WireFault::NotSent,
        WireFault::RateLimited,
        WireFault::InvalidClient,
    ] {
        let hour = Duration::from_secs(3600);
        let (cluster, subjects) = endure(MockNotion::in_process(), fault, hour).await;
        assert_all_well(&cluster, &subjects).await;
        let refreshes = cluster.notion.ledger().refreshes().len();
        assert_eq!(refreshes, SUBJECTS, "{fault:?}");
    }
}

/// I3.
#[tokio::test(start_paused = true)]
async fn lost_responses_end_no_connection_if_replays_are_accepted() {
    let notion = MockNotion::builder().grace(Duration::from_secs(3600));
    let minutes = Duration::from_secs(600);
    let (cluster, subjects) = endure(notion.in_process(), WireFault::LostAfter, minutes).await;
    assert_all_well(&cluster, &subjects).await;
}

/// I3: lost connections have the right reason.
#[tokio::test(start_paused = true)]
async fn family_revocation_after_lost_responses_is_rotation_lost() {
    let minutes = Duration::from_secs(600);
    let notion = MockNotion::in_process();
    let (cluster, subjects) = endure(notion, WireFault::LostAfter, minutes).await;
    for subject in &subjects {
        let error = cluster.ask(0, subject).await.unwrap_err();
        let lost = ReauthorizationReason::RotationLost;
        assert_eq!(error.needs_reauthorization(), Some(lost));
    }
}
