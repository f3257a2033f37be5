//! Notion's pagination: the cursor is the ID of the first result of the next page.

use serde_json::{Value, json};

use super::respond::Refusal;

const MAX_PAGE_SIZE: u64 = 100;

/// The requested page. Absent members mean the first page with the maximum size.
#[derive(Default)]
pub(super) struct Window {
    pub(super) start_cursor: Option<String>,
    pub(super) page_size: Option<u64>,
}

/// Returns a page of `results`, each of which has an `id`.
pub(super) fn list(results: Vec<Value>, kind: &str, window: &Window) -> Result<Value, Refusal> {
    let size = window.page_size.unwrap_or(MAX_PAGE_SIZE);
    if !(1..=MAX_PAGE_SIZE).contains(&size) {
        return Err(invalid_page_size());
    }
    let start = match &window.start_cursor {
        None => 0,
        Some(cursor) => results
            .iter()
            .position(|result| result["id"] == cursor.as_str())
            .ok_or_else(|| Refusal::validation("The start_cursor provided is invalid."))?,
    };
    let mut rest = results.into_iter().skip(start);
    let page: Vec<Value> = rest
        .by_ref()
        .take(usize::try_from(size).unwrap_or(usize::MAX))
        .collect();
    let next = rest.next().map(|next| next["id"].clone());
    let mut list = json!({
        "object": "list",
        "results": page,
        "has_more": next.is_some(),
        "next_cursor": next,
        "type": kind,
    });
    list[kind] = json!({});
    Ok(list)
}

pub(super) fn invalid_page_size() -> Refusal {
    Refusal::validation("page_size should be a number from 1 to 100.")
}
