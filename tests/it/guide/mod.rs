//! The guide: its programs, the messages that it quotes, and the names and files that it mentions.

#[cfg(feature = "sqlite")]
#[allow(clippy::wildcard_imports, reason = "short, as the guide shows it")]
#[rustfmt::skip]
mod own_store;
mod rotation;

use std::{fs, path::Path};

const PAGE: &str = include_str!("../../../src/guide/trouble.md");

#[test]
fn every_message_quoted_by_the_guide_is_in_the_code() {
    let mut code = String::new();
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut code,
    );
    let quoted: Vec<&str> = PAGE.split('"').skip(1).step_by(2).collect();
    assert!(quoted.len() > 10, "{quoted:?}");
    for message in quoted {
        // An ellipsis stands for variable text, and a colon may join two errors.
        for part in message.split(['…', ':']) {
            let part = part.trim();
            assert!(code.contains(part), "no error says `{part}`");
        }
    }
}

/// Reads all code in the folder, with long literals joined into one line.
fn read(folder: &Path, code: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read(&path, code);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            let mut lines = text.split("\\\n");
            code.push_str(lines.next().unwrap_or_default());
            lines.for_each(|line| code.push_str(line.trim_start()));
        }
    }
}
