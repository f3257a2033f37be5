//! `POST /v1/search`, `POST /v1/pages` and `GET /v1/pages/{id}`, with pages in memory.

use serde_json::{Value, json};

use super::{
    family::Place,
    mint::{self, Id},
    paging::{self, Window},
    respond::Refusal,
};

#[derive(Default)]
pub(super) struct Pages {
    pages: Vec<Page>,
}

struct Page {
    workspace_id: String,
    value: Value,
}

impl Pages {
    pub(super) fn create(&mut self, place: &Place, body: &Value) -> Result<Value, Refusal> {
        let member = |name: &str| {
            let missing = || format!("body failed validation: body.{name} should be an object.");
            let value = body.get(name).filter(|value| value.is_object());
            value.ok_or_else(|| Refusal::validation(missing()))
        };
        let parent = member("parent")?;
        let properties = member("properties")?;
        if let Some(id) = parent.get("page_id") {
            self.retrieve(&place.workspace_id, id.as_str().unwrap_or_default())?;
        }
        let id = mint::id(Id::Page, self.pages.len() as u64 + 1);
        let by = json!({ "object": "user", "id": place.bot_id });
        let value = json!({
            "object": "page",
            "id": id,
            "created_time": "2026-01-01T00:00:00.000Z",
            "last_edited_time": "2026-01-01T00:00:00.000Z",
            "created_by": by,
            "last_edited_by": by,
            "cover": null,
            "icon": null,
            "parent": parent,
            "in_trash": false,
            "properties": properties,
            "url": format!("https://www.notion.so/{}", plain(&id)),
            "public_url": null,
        });
        let workspace_id = place.workspace_id.clone();
        self.pages.push(Page {
            workspace_id,
            value: value.clone(),
        });
        Ok(value)
    }

    /// Returns a page. A page of another workspace is not found.
    pub(super) fn retrieve(&self, workspace_id: &str, id: &str) -> Result<Value, Refusal> {
        let wanted = plain(id);
        if wanted.len() != 32 || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let message = "path failed validation: path.page_id should be a valid uuid.";
            return Err(Refusal::validation(message));
        }
        let own = self.own(workspace_id);
        let found = own
            .into_iter()
            .find(|page| page["id"].as_str().map(plain).as_ref() == Some(&wanted));
        found.ok_or_else(|| {
            let message = format!(
                "Could not find page with ID: {id}. Make sure the relevant pages and databases are shared with your integration."
            );
            Refusal::new(404, "object_not_found", message)
        })
    }

    pub(super) fn search(&self, workspace_id: &str, body: &Value) -> Result<Value, Refusal> {
        let window = Window {
            start_cursor: text(body, "start_cursor")?.map(str::to_owned),
            page_size: match body.get("page_size") {
                None => None,
                Some(size) => Some(size.as_u64().ok_or_else(paging::invalid_page_size)?),
            },
        };
        let query = text(body, "query")?.unwrap_or_default().to_lowercase();
        let mut found = self.own(workspace_id);
        found.retain(|page| title(page).to_lowercase().contains(&query));
        paging::list(found, "page_or_data_source", &window)
    }

    fn own(&self, workspace_id: &str) -> Vec<Value> {
        let own = self
            .pages
            .iter()
            .filter(|page| page.workspace_id == workspace_id);
        own.map(|page| page.value.clone()).collect()
    }
}

fn text<'a>(body: &'a Value, name: &str) -> Result<Option<&'a str>, Refusal> {
    let wrong = || format!("body failed validation: body.{name} should be a string.");
    let value = body.get(name).filter(|value| !value.is_null());
    value
        .map(|value| value.as_str().ok_or_else(|| Refusal::validation(wrong())))
        .transpose()
}

/// Returns the text of the `title` property, in both formats that Notion accepts.
fn title(page: &Value) -> String {
    let title = &page["properties"]["title"];
    let parts = title.as_array().or_else(|| title["title"].as_array());
    let texts = parts
        .into_iter()
        .flatten()
        .filter_map(|part| part["text"]["content"].as_str());
    texts.collect()
}

fn plain(id: &str) -> String {
    id.replace('-', "").to_lowercase()
}
