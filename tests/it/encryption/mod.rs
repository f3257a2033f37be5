//! Credentials at rest: who can read a record, what it is bound to, how keys change, and its format.

mod format;
mod keys;
mod payload;
mod plaintext;
mod rotation;
mod setup;

use notion_auth::{Keyring, Subject, testing::MockNotion};

use crate::own_process;

#[test]
fn digest_of_a_subject_is_the_same_in_all_processes_with_the_first_key() {
    const NAME: &str =
        "encryption::digest_of_a_subject_is_the_same_in_all_processes_with_the_first_key";
    // The first provider with keys counts, and other tests build some.
    if !own_process::is_alone(NAME, &[]) {
        return;
    }
    let subject = Subject::new("ann@example.com");
    let before = format!("{subject:?}");
    for keys in [vec![[1; 32], [2; 32]], vec![[2; 32]]] {
        let notion = MockNotion::in_process();
        let builder = notion.provider_builder().unwrap();
        builder.keys(Keyring::new(keys).unwrap()).build().unwrap();
        assert_eq!(format!("{subject:?}"), "Subject(#d036e76e93536382)");
    }
    assert_ne!(before, format!("{subject:?}"));
}
