//! The pages that a person sees. They load nothing from elsewhere and run no script.

use url::Url;

use super::authorize::DECISION_PATH;
use crate::html::{document, escape};

const STYLE: &str = "\
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center }
main { width: min(26rem, 100% - 3rem); padding: 2rem 0 }
h1 { font-size: 1.4rem; line-height: 1.25 }
label { display: block; font-weight: 600 }
input, button { font: inherit; box-sizing: border-box; padding: .6rem .8rem; border: 1px solid #8a8a8a; border-radius: .4rem }
input { width: 100%; margin: .25rem 0 1.5rem }
button { cursor: pointer; margin-right: .5rem; background: transparent; color: inherit }
button[value=allow] { background: #0b61c4; border-color: #0b61c4; color: #fff }
:focus-visible { outline: 3px solid #5aa2f5; outline-offset: 2px }";

/// Asks whether the application at `callback` may connect. `query` comes back with the decision.
pub(super) fn ask(callback: &Url, query: &str) -> String {
    let host = escape(callback.host_str().unwrap_or("this application"));
    let query = escape(query);
    page(
        "Connect a workspace",
        &format!(
            r#"<h1>{host} would like to connect to a workspace</h1>
<p>It will be able to read, insert and update content there. This is a mock of Notion: nothing real is shared.</p>
<form method="post" action="{DECISION_PATH}">
<input type="hidden" name="query" value="{query}">
<label for="workspace">Workspace</label>
<input id="workspace" name="workspace" value="Acme" autocomplete="off" required>
<button name="decision" value="allow">Allow access</button>
<button name="decision" value="deny" formnovalidate>Cancel</button>
</form>"#
        ),
    )
}

pub(super) fn refuse(why: &str) -> String {
    let why = escape(why);
    let body = format!("<h1>This link does not work</h1>\n<p role=\"alert\">{why}</p>");
    page("This link does not work", &body)
}

fn page(title: &str, body: &str) -> String {
    document(&format!("{title} – MockNotion"), STYLE, body)
}
