//! Parses the page of the docs.

use std::collections::BTreeSet;

use super::Facts;

const PAGE: &str = include_str!("../../../src/observe/table.md");

/// Returns the rows of the table with this heading, as cells.
fn rows(first_column: &str) -> impl Iterator<Item = Vec<&'static str>> {
    let heading = format!("| {first_column} |");
    PAGE.lines()
        .skip_while(move |line| !line.starts_with(&heading))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).skip(1).collect())
}

/// Returns the texts in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

pub(super) fn facts() -> Facts {
    let mut facts = Facts::new();
    for cells in rows("name") {
        let name = quoted(cells[0]).next().unwrap();
        for level in cells[2].split_whitespace() {
            facts.insert(format!("{name} {} {level}", cells[1]));
        }
        for field in cells[3].split(';').filter(|field| !field.is_empty()) {
            let mut words = quoted(field);
            let field = words.next().unwrap();
            let values: Vec<_> = words.collect();
            if values.is_empty() {
                facts.insert(format!("{name} {field}=*"));
            }
            facts.extend(values.iter().map(|value| format!("{name} {field}={value}")));
        }
    }
    assert!(facts.len() > 50, "the table was not found");
    facts
}

/// Returns the outcomes that the page explains.
pub(super) fn explained() -> BTreeSet<String> {
    rows("outcome")
        .map(|cells| quoted(cells[0]).next().unwrap().to_owned())
        .collect()
}

/// Returns the series of the page's queries, with their labels, as Prometheus's exporter names them.
pub(super) fn queried() -> BTreeSet<String> {
    let section = PAGE.split("# For Prometheus").nth(1).unwrap();
    let is_of_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    section
        .match_indices("notion_auth_")
        .map(|(at, _)| {
            let rest = &section[at..];
            let name = rest.find(|letter| !is_of_name(letter)).unwrap();
            let end = match &rest[name..] {
                labels if labels.starts_with('{') => labels.find('}').unwrap() + 1,
                _ => 0,
            };
            rest[..name + end].to_owned()
        })
        .collect()
}
