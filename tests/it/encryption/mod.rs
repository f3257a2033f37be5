//! Encryption of stored credentials: readability, binding to the record, key rotation, and format.

mod format;
mod keys;
mod payload;
mod plaintext;
mod rotation;
mod setup;

use notion_auth::{Keyring, Subject, testing::MockNotion};

use crate::own_process;

#[test]
fn subject_digest_is_equal_in_processes_with_the_first_key() {
    const NAME: &str = "encryption::subject_digest_is_equal_in_processes_with_the_first_key";
    // The first provider with keys in the process sets the key, and other tests build some.
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
