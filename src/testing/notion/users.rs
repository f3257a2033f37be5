//! `GET /v1/users/me` and `GET /v1/users`.

use serde_json::{Value, json};
use url::form_urlencoded;

use super::{
    family::Place,
    mint::{self, Id},
    paging::{self, Window},
    respond::Refusal,
    token,
};

/// Returns the bot user.
pub(super) fn me(place: &Place) -> Value {
    json!({
        "object": "user",
        "id": place.bot_id,
        "name": "Mock integration",
        "avatar_url": null,
        "type": "bot",
        "bot": {
            "owner": token::owner(place),
            "workspace_id": place.workspace_id,
            "workspace_name": place.workspace_name,
            "workspace_limits": { "max_file_upload_size_in_bytes": 5_242_880 },
        },
    })
}

/// Lists the workspace's people.
pub(super) fn list(count: usize, place: &Place, query: &str) -> Result<Value, Refusal> {
    let mut window = Window::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "start_cursor" => window.start_cursor = Some(value.into_owned()),
            "page_size" => {
                let size = value.parse().map_err(|_| paging::invalid_page_size())?;
                window.page_size = Some(size);
            }
            _ => {}
        }
    }
    let people = (0..count).map(|n| person(n, place)).collect();
    paging::list(people, "user", &window)
}

/// Returns a person. The first one is the person who gave consent.
fn person(n: usize, place: &Place) -> Value {
    if n == 0 {
        return token::owner(place)["user"].take();
    }
    json!({
        "object": "user",
        "id": mint::id(Id::Colleague, n as u64),
        "name": format!("Person {n}"),
        "avatar_url": null,
        "type": "person",
        "person": { "email": format!("person-{n}@workspace.example") },
    })
}
