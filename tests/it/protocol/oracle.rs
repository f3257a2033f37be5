//! The invariants that every history must satisfy: I1 to I6 and I8.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use notion_auth::{
    AuthError, Event, ReauthorizationReason, Subject,
    store::{CredentialStore, RecordState},
};

use super::{
    cluster::{AGES, Cluster},
    history::{Change, Deleted, Events, Reply},
    life::Stop,
    record::key,
};

/// Ends all faults, waits, and sends requests for each subject through each process.
///
/// Returns the last status of each subject through the first process.
async fn settle(cluster: &mut Cluster, subjects: &[(Subject, String)]) -> Vec<Last> {
    cluster.wire_faults.clear();
    cluster.store_faults.clear();
    for index in 0..cluster.processes.len() {
        cluster.processes[index].life.disarm();
        if cluster.processes[index].life.is_dead() {
            cluster.restart(index);
        }
    }
    tokio::time::sleep(AGES).await;
    for (subject, bot) in subjects {
        cluster.refuse(bot);
        // A server may have kept the old access token valid when the later pair was lost.
        let record = cluster.record(subject).await;
        if let Some((access, _)) = record.and_then(|it| it.pair) {
            cluster.notion.revoke_access_token(&access);
        }
    }
    let mut last: Vec<Last> = subjects.iter().map(|_| Ok(0)).collect();
    for _ in 0..4 {
        for process in (0..cluster.processes.len()).rev() {
            for (index, (subject, _)) in subjects.iter().enumerate() {
                last[index] = cluster.ask(process, subject).await;
            }
        }
        tokio::time::sleep(AGES / 3).await;
    }
    last
}

/// The outcome of a request.
type Last = Result<u16, AuthError>;

/// Checks all invariants of a history.
pub(super) async fn check(cluster: &mut Cluster, subjects: &[(Subject, String)]) -> Vec<String> {
    let last = settle(cluster, subjects).await;
    let mut broken = Vec::new();
    {
        let events = cluster.history.events();
        spent_once(&events, &mut broken);
        no_regression(&events, &mut broken);
        no_cross_talk(&events, &mut broken);
        one_transition(&events, &mut broken);
        for death in &events.false_deaths {
            broken.push(format!("I3: {death}, though a saved pair lived"));
        }
    }
    if cluster
        .notion
        .ledger()
        .refreshes()
        .iter()
        .any(|refresh| refresh.overlapping)
    {
        broken.push("I1: a refresh token was presented by two at a time".to_owned());
    }
    for ((subject, bot), last) in subjects.iter().zip(last) {
        no_false_death(cluster, subject, bot, last, &mut broken).await;
    }
    reported_once(cluster, &mut broken);
    no_orphans(cluster, subjects, &mut broken).await;
    broken
}

/// I1: a refresh token is presented once, and again only if the outcome is unknown or could not be saved.
/// I5 for a refused token: its successor is obtained once.
fn spent_once(events: &Events, broken: &mut Vec<String>) {
    let mut by_token: HashMap<&str, Vec<_>> = HashMap::new();
    for presentation in &events.presentations {
        let all = by_token.entry(&presentation.token).or_default();
        all.push(presentation);
    }
    for (token, presentations) in by_token {
        for (first, second) in presentations.iter().zip(presentations.iter().skip(1)) {
            let is_settled = matches!(first.result, Reply::Pair(_) | Reply::InvalidGrant);
            let is_excused = events
                .excuses
                .iter()
                .any(|at| *at >= first.at && *at <= second.at);
            if is_settled && !is_excused {
                broken.push(format!(
                    "I1: {token} was presented again after {:?}",
                    first.result
                ));
            }
            // A stopped or dead process presents nothing.
            let is_over = first.until.is_some_and(|until| until <= second.at);
            if !is_over && !is_excused {
                broken.push(format!("I1: {token} was presented by two at a time"));
            }
        }
    }
}

/// I2: within a lineage each generation follows its predecessor, and a refresh's pair is the one that the
/// predecessor's refresh token was exchanged for.
fn no_regression(events: &Events, broken: &mut Vec<String>) {
    let mut current: HashMap<&str, (u64, Option<&str>)> = HashMap::new();
    for save in &events.saves {
        let (generation, spent) = current.get(&*save.lineage).copied().unwrap_or_default();
        let follows = match save.change {
            Change::Disconnect => save.generation == generation,
            Change::Connect | Change::Refresh => save.generation == generation + 1,
        };
        if !follows {
            broken.push(format!(
                "I2: {:?} made {} after {generation}",
                save.change, save.generation
            ));
        }
        let obtained = save.pair.as_ref().map(|(_, refresh)| refresh.as_str());
        if save.change == Change::Refresh {
            let is_exchanged = events.presentations.iter().any(|it| {
                Some(it.token.as_str()) == spent
                    && matches!(&it.result, Reply::Pair(token) if Some(token.as_str()) == obtained)
            });
            if !is_exchanged {
                broken.push(format!(
                    "I2: generation {} is not what {generation} was exchanged for",
                    save.generation
                ));
            }
        }
        current.insert(&save.lineage, (save.generation, obtained));
    }
}

/// I5: if nothing expires, a pair is only exchanged because its access token was refused, or because the
/// application requested it. By I2, this happens once.
pub(super) fn one_refresh_for_a_refusal(cluster: &Cluster, broken: &mut Vec<String>) {
    let ledger = cluster.notion.ledger();
    let events = cluster.history.events();
    let mut current: HashMap<&Subject, Option<&str>> = HashMap::new();
    for save in &events.saves {
        let access = save.pair.as_ref().map(|pair| pair.0.as_str());
        let before = current.insert(&save.subject, access).flatten();
        if save.change != Change::Refresh || events.asked.contains(&save.subject) {
            continue;
        }
        let was_refused = before.is_some_and(|token| {
            let calls = ledger.api_calls_with(token);
            calls.iter().any(|call| call.status == Some(401))
        });
        if !was_refused {
            broken.push(format!(
                "I5: generation {} was made though nothing was refused",
                save.generation
            ));
        }
    }
}

/// How long a process uses a token after a reconnect or disconnect through another process: twice the
/// revalidation age, and the second during which requests do not check the cache's times.
const STALE: Duration = Duration::from_secs(2 * 60 + 1);

/// The same after a failure of the store or a suspension: 5 minutes while the store is unavailable, and the
/// time of the suspension.
const STALE_AFTER_FAULTS: Duration = Duration::from_secs(600);

/// I4: a request only carries a token that had been saved for its subject, of the lineage that the subject
/// had when the request was sent, when it started, or as long before as another process may not know of the
/// change.
fn no_cross_talk(events: &Events, broken: &mut Vec<String>) {
    for sent in &events.requests {
        let saves = &events.saves[..sent.after_saves];
        let of_the_subject = saves.iter().enumerate();
        let mut of_the_subject = of_the_subject.filter(|(_, save)| save.subject == sent.subject);
        let saved = of_the_subject.find(|(_, save)| {
            let access = save.pair.as_ref().map(|pair| &pair.0);
            access == Some(&sent.token)
        });
        let Some((_, saved)) = saved else {
            broken.push(format!(
                "I4: {} was sent for {:?}, and not saved for it before",
                sent.token, sent.subject
            ));
            continue;
        };
        let Some((ended, end)) = of_the_subject
            .find(|(_, save)| save.lineage != saved.lineage || save.change == Change::Disconnect)
        else {
            continue;
        };
        let is_excused = events
            .excuses
            .iter()
            .chain(&events.slow)
            .any(|at| *at + STALE_AFTER_FAULTS >= sent.began && *at <= sent.at);
        let stale = if is_excused {
            STALE_AFTER_FAULTS
        } else {
            STALE
        };
        let is_too_old = end.at + stale < sent.began;
        let was_deleted_here = events.deleted.iter().any(|deleted| {
            deleted.process == sent.process
                && deleted.subject == sent.subject
                && deleted.done_at < sent.began
                && is_ended_by(events, deleted, ended)
        });
        if is_too_old || was_deleted_here {
            broken.push(format!(
                "I4: {} was sent for {:?} by a request that began {:?} after its lineage had ended",
                sent.token,
                sent.subject,
                sent.began - end.at,
            ));
        }
    }
}

/// Returns whether a delete ended the lineage that save number `ended` ended, or one that had ended before.
fn is_ended_by(events: &Events, deleted: &Deleted, ended: usize) -> bool {
    let mut tombstones =
        events.saves.iter().enumerate().filter(|(_, save)| {
            save.subject == deleted.subject && save.change == Change::Disconnect
        });
    // Other processes may have disconnected the subject too. It is then unknown which tombstone is the
    // delete's.
    let own = tombstones.find(|(index, _)| *index >= deleted.after_saves);
    match own {
        Some((index, _)) => ended <= index,
        None => ended < deleted.after_saves,
    }
}

/// I8: one transition for each lineage and generation, between two reinstates.
fn one_transition(events: &Events, broken: &mut Vec<String>) {
    let mut seen = HashSet::new();
    for it in &events.invalidations {
        if !seen.insert((&it.lineage, it.generation, it.reinstated)) {
            broken.push(format!(
                "I8: generation {} was invalidated again ({:?})",
                it.generation, it.reason
            ));
        }
    }
}

/// I8: each process reports a transition at most once.
fn reported_once(cluster: &Cluster, broken: &mut Vec<String>) {
    if !cluster.history.events().reinstated.is_empty() {
        return;
    }
    for reported in &cluster.observed {
        let mut seen = HashSet::new();
        for event in reported.lock().unwrap().iter() {
            if let Event::NeedsReauthorization {
                lineage,
                generation,
                ..
            } = event
            {
                if !seen.insert((*lineage, *generation)) {
                    broken.push(format!("I8: generation {generation} was reported twice"));
                }
            }
        }
    }
}

/// I3: no user is asked to reconnect while a valid grant's tokens are saved, and the reason is right.
async fn no_false_death(
    cluster: &Cluster,
    subject: &Subject,
    bot: &str,
    last: Last,
    broken: &mut Vec<String>,
) {
    let Some(record) = cluster.record(subject).await else {
        return;
    };
    let living = cluster.notion.ledger().living_pair(bot);
    let events = cluster.history.events();
    let was_saved = |refresh: &str| {
        events.saves.iter().any(|save| {
            save.subject == *subject && save.pair.as_ref().is_some_and(|pair| pair.1 == refresh)
        })
    };
    match record.state {
        RecordState::Disconnected => {}
        RecordState::Active => {
            let stored = record.pair.clone();
            if stored.is_none() || stored != living {
                broken.push(format!(
                    "I3: stored as good, but Notion holds {living:?}, not {stored:?}"
                ));
            } else if !matches!(last, Ok(200)) {
                broken.push(format!("I3: the living pair is stored, and {last:?} came"));
            }
        }
        RecordState::NeedsReauthorization(reason) => {
            if let Some((_, refresh)) = &living {
                if was_saved(refresh) {
                    broken.push(format!("I3: {reason:?}, but {refresh} lives and was saved"));
                } else if reason == ReauthorizationReason::Revoked
                    && !events.reinstated.contains(&record.lineage)
                {
                    broken.push(format!("I3: called revoked, but {refresh} lives: lost"));
                }
            }
            let is_clean = events.excuses.is_empty()
                && !events
                    .presentations
                    .iter()
                    .any(|it| it.result == Reply::Lost);
            if reason == ReauthorizationReason::RotationLost && is_clean {
                broken.push("I3: a rotation was lost and nothing had gone wrong".to_owned());
            }
        }
        other => broken.push(format!("an unknown state: {other:?}")),
    }
}

/// I6: at rest, no refresh task is running and no lease is valid.
async fn no_orphans(cluster: &Cluster, subjects: &[(Subject, String)], broken: &mut Vec<String>) {
    for process in &cluster.processes {
        let shutdown = process.provider.shutdown(Duration::ZERO);
        if shutdown.await.is_err() {
            broken.push("I6: a refresh task runs at rest".to_owned());
        }
        process.life.stop(Stop::Die);
    }
    for (subject, _) in subjects {
        if let Some(record) = cluster.record(subject).await {
            let now = cluster.store.load(&key(subject)).await.unwrap().now;
            if record.lease.as_ref().is_some_and(|it| it.ends_at > now) {
                broken.push(format!("I6: a lease is live at rest: {:?}", record.lease));
            }
        }
    }
}
