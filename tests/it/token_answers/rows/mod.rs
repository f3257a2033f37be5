//! Forms of token responses, and how an exchange and a refresh handle them.

mod encodings;
mod forms;
mod members;

use serde_json::Value;

use super::arrival::{Arrival, Change};

/// Outcome of an exchange and a refresh.
#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// The token pair is saved and used.
    Pair,
    /// The access token is saved and used. There is no new refresh token: an exchange saves none, and a
    /// refresh keeps the old one.
    AccessToken,
    /// The outcome is unknown. The error and the log contain these words.
    Ambiguous(&'static [&'static str]),
}

pub(super) type Row = (&'static str, Change, Expected);

pub(super) fn rows() -> impl Iterator<Item = Row> {
    let rows = [encodings::ROWS, forms::ROWS, members::ROWS];
    rows.into_iter().flatten().copied()
}

/// Returns the response with these members added or replaced.
fn with(mut answer: Value, members: Value) -> Arrival {
    let members = members.as_object().cloned().unwrap();
    answer.as_object_mut().unwrap().extend(members);
    Arrival::json(&answer)
}

/// Returns the token pair, followed by this text.
fn pair_first(answer: &Value, rest: &str) -> String {
    let (access, refresh) = (&answer["access_token"], &answer["refresh_token"]);
    format!(r#"{{"access_token":{access},"refresh_token":{refresh},{rest}"#)
}

fn pair_then(answer: &Value, rest: &str) -> Arrival {
    Arrival::of(pair_first(answer, rest))
}

fn half(answer: &Value) -> String {
    let text = answer.to_string();
    text[..text.find("refresh_token").unwrap() + 20].to_owned()
}

const MIB: usize = 1024 * 1024;
