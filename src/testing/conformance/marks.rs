use super::subject::{LONG, SHORT, Tried};
use crate::store::{CredentialStore, OnceAnswer, OnceKey};

pub(super) async fn check<S: CredentialStore>(tried: &Tried<S>) {
    a_mark_is_first_once(tried).await;
    a_mark_ends(tried).await;
}

async fn once<S: CredentialStore>(
    tried: &Tried<S>,
    namespace: &str,
    digest: u8,
    ttl: std::time::Duration,
) -> OnceAnswer {
    let key = OnceKey::new(format!("{}{namespace}", tried.namespace), [digest; 32]);
    let answer = tried.store.once(&key, ttl).await;
    answer.expect("the store answers `once`")
}

async fn a_mark_is_first_once<S: CredentialStore>(tried: &Tried<S>) {
    assert_eq!(once(tried, "", 7, LONG).await, OnceAnswer::First);
    assert_eq!(once(tried, "", 7, LONG).await, OnceAnswer::Seen);
    assert_eq!(once(tried, "", 8, LONG).await, OnceAnswer::First);
    assert_eq!(once(tried, "x", 7, LONG).await, OnceAnswer::First);
    swept(tried).await;
    assert_eq!(
        once(tried, "", 7, LONG).await,
        OnceAnswer::Seen,
        "a sweep leaves marks that are not over"
    );
}

async fn a_mark_ends<S: CredentialStore>(tried: &Tried<S>) {
    assert_eq!(once(tried, "", 1, SHORT).await, OnceAnswer::First);
    assert_eq!(once(tried, "", 2, SHORT).await, OnceAnswer::First);
    tried.pass(SHORT).await;
    assert_eq!(
        once(tried, "", 1, LONG).await,
        OnceAnswer::First,
        "a mark whose time is over was not set"
    );
    assert_eq!(once(tried, "", 1, LONG).await, OnceAnswer::Seen);
    swept(tried).await;
    assert_eq!(once(tried, "", 1, LONG).await, OnceAnswer::Seen);
    assert_eq!(once(tried, "", 2, LONG).await, OnceAnswer::First);
}

async fn swept<S: CredentialStore>(tried: &Tried<S>) {
    tried
        .store
        .sweep()
        .await
        .expect("the store answers `sweep`");
}
