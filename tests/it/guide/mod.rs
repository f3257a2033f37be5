//! The guide: its programs, the messages that it quotes, and the names and files that it mentions.

#[cfg(feature = "sqlite")]
#[allow(unreachable_pub, reason = "as in a program of its own")]
#[rustfmt::skip]
mod own_store;
mod rotation;

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

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

/// Returns the path and text of each page.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = fs::read_dir(root.join("src/guide")).expect("a folder");
    let paths = guide.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .chain([root.join("README.md"), root.join("src/observe/table.md")])
        .map(|path| {
            let text = fs::read_to_string(&path).expect("text");
            (path, text)
        })
        .collect()
}

#[test]
fn pages_can_be_read_without_rustdoc() {
    for (path, text) in pages() {
        let page = path.display();
        assert!(!text.contains("](crate::"), "{page}: a link for rustdoc");
        for program in text.split("```rust").skip(1) {
            let program = program.split("```").next().unwrap_or_default();
            let is_hidden = |line: &&str| *line == "#" || line.starts_with("# ");
            let hidden = program.lines().find(is_hidden);
            assert_eq!(hidden, None, "{page}: a line that only rustdoc hides");
        }
    }
}

#[test]
fn files_that_pages_link_to_exist() {
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci").is_dir() {
        return; // The published package lacks some of them.
    }
    let mut links = 0;
    for (path, text) in pages() {
        let inline = text.split("](").skip(1).map(|it| it.split(')').next());
        let defined = text.lines().map(|line| line.split_once("]: "));
        let defined = defined.map(|it| it.map(|(_, target)| target));
        let targets = inline.chain(defined).flatten();
        for target in targets.filter(|it| !it.starts_with("http") && !it.starts_with('#')) {
            let file = path.parent().expect("a folder").join(target);
            assert!(file.is_file(), "{}: {target}", path.display());
            links += 1;
        }
    }
    assert!(links > 10, "{links}");
}

#[test]
fn items_that_pages_name_exist() {
    let mut code = String::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    read(&root.join("src"), &mut code);
    let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let words: HashSet<&str> = code.split(|it| !is_name(it)).collect();
    let mut names = 0;
    for (path, text) in pages() {
        let prose: String = text.split("```").step_by(2).collect();
        let spans = prose.split('`').skip(1).step_by(2);
        let qualified = spans.filter(|it| it.contains("::") && it.starts_with(char::is_uppercase));
        for name in qualified.flat_map(|it| it.split("::")) {
            let name = name.split(|it| !is_name(it)).next().unwrap_or_default();
            assert!(words.contains(name), "{}: {name}", path.display());
            names += 1;
        }
    }
    assert!(names > 50, "{names}");
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
