//! The pages that a person sees. They load nothing and run no script.

use crate::{
    flow_problem::FlowProblem,
    html::{document, escape},
    provider::ConnectionStatus,
    store::RecordState,
};

/// What the built-in pages may do (CSP level 3). Not where forms may lead: browsers apply that to the
/// redirect after a disconnect too, which goes where the host says.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// What every page must hold to: its form must not be clicked in a frame.
pub(super) const NO_FRAMES: &str = "frame-ancestors 'none'";

/// What is on a page, for a renderer of the host's own. Nothing is escaped yet.
#[derive(Debug)]
#[non_exhaustive]
pub struct Page<'a> {
    /// What went wrong, if the page says that.
    pub problem: Option<FlowProblem>,
    /// The subject's connection, if the page shows that and there is one.
    pub connection: Option<&'a ConnectionStatus>,
    /// The address that begins a flow: a link.
    pub connect: &'a str,
    /// The address that ends the connection: the action of a form with the method POST.
    pub disconnect: &'a str,
    /// Where the user goes on: a link.
    pub return_to: &'a str,
}

/// Makes the HTML of a page.
pub(super) type Renderer = Box<dyn Fn(&Page<'_>) -> String + Send + Sync>;

const STYLE: &str = "\
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center }
main { box-sizing: border-box; width: min(28rem, 100%); padding: 2rem 1.5rem }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .75rem; overflow-wrap: anywhere }
p { margin: 0 0 1.5rem }
form { display: inline }
a, button { font: inherit; display: inline-block; box-sizing: border-box; padding: .55rem .9rem; margin: 0 .5rem .5rem 0; border: 1px solid #8a8a8a; border-radius: .4rem; background: transparent; color: inherit; text-decoration: none; cursor: pointer }
a.first { background: #0b61c4; border-color: #0b61c4; color: #fff }
:focus-visible { outline: 3px solid #5aa2f5; outline-offset: 2px }";

/// The built-in page.
pub(super) fn render(page: &Page<'_>) -> String {
    let (title, text, actions) = match (page.problem, page.connection) {
        (Some(problem), _) => (
            title(problem).to_owned(),
            problem.to_string(),
            format!("{}{}", connect(page, "Start again"), back(page, "Back")),
        ),
        (None, Some(connection)) => connected(page, connection),
        (None, None) => (
            "Notion is not connected".to_owned(),
            "No workspace is connected yet.".to_owned(),
            format!("{}{}", connect(page, "Connect Notion"), back(page, "Back")),
        ),
    };
    let (heading, text) = (escape(&title), escape(&text));
    let body = format!("<h1>{heading}</h1>\n<p role=\"status\">{text}</p>\n{actions}");
    document(&title, STYLE, &body)
}

/// A connection that there was before still stands, so no title says that there is none.
fn title(problem: FlowProblem) -> &'static str {
    match problem {
        FlowProblem::Denied => "Nothing was connected",
        FlowProblem::NoSubject => "You are not signed in",
        FlowProblem::NotFound => "Page not found",
        _ => "That did not work",
    }
}

fn connected(page: &Page<'_>, connection: &ConnectionStatus) -> (String, String, String) {
    let workspace = connection
        .workspace_name
        .as_deref()
        .unwrap_or("a workspace");
    let disconnect = format!(
        "<form method=\"post\" action=\"{}\"><button>Disconnect</button></form>\n",
        escape(page.disconnect)
    );
    match connection.state {
        RecordState::NeedsReauthorization(reason) => (
            format!("Connect {workspace} again"),
            format!("The connection to Notion has ended: {reason}."),
            format!("{}{disconnect}", connect(page, "Connect again")),
        ),
        RecordState::Unreadable => (
            format!("Connected to {workspace}"),
            "This site can't read the connection at the moment. Please try again later.".to_owned(),
            disconnect,
        ),
        _ if connection.invalid_token.is_some() => (
            format!("Connect {workspace} again"),
            FlowProblem::InvalidToken.to_string(),
            format!("{}{disconnect}", connect(page, "Connect again")),
        ),
        _ => (
            // An icon may be the URL of a picture, and nothing is loaded from elsewhere.
            format!("Connected to {workspace}"),
            "The connection to Notion works.".to_owned(),
            format!("{}{disconnect}", first(page.return_to, "Continue")),
        ),
    }
}

fn connect(page: &Page<'_>, label: &str) -> String {
    first(page.connect, label)
}

fn first(target: &str, label: &str) -> String {
    format!(
        "<a class=\"first\" href=\"{}\">{label}</a>\n",
        escape(target)
    )
}

fn back(page: &Page<'_>, label: &str) -> String {
    format!("<a href=\"{}\">{label}</a>\n", escape(page.return_to))
}
