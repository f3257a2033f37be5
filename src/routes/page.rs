//! Pages for the people who connect a workspace. They load nothing and run no script.
//!
//! Their readers don't know OAuth. Each page says what happened, for which workspace and account, and what to do next.

use crate::{
    credentials::ReauthorizationReason,
    flow_problem::FlowProblem,
    html::{document, escape},
    provider::ConnectionStatus,
    store::RecordState,
};

/// `Content-Security-Policy` of the built-in pages (CSP level 3).
///
/// No `form-action`, because browsers apply it to the redirect after a disconnect too, which leads where the application
/// says.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// `Content-Security-Policy` of the application's own pages: in a frame, another site could have a form clicked.
pub(super) const NO_FRAMES: &str = "frame-ancestors 'none'";

/// Contents of a page, for [`renderer`](super::NotionOAuthServiceBuilder::renderer). Nothing is escaped.
#[derive(Debug)]
#[non_exhaustive]
pub struct Page<'a> {
    /// What the page says.
    pub kind: PageKind,
    /// The subject's connection. On the page of a problem, it is the connection that was there before and still is.
    pub connection: Option<&'a ConnectionStatus>,
    /// Name of the workspace of a connection that was refused
    /// ([`IdentityRefused`](FlowProblem::IdentityRefused), [`NotAccepted`](FlowProblem::NotAccepted)).
    pub refused_workspace: Option<&'a str>,
    /// The host of the redirect URI, such as `app.example`; `this site` if it has no name.
    pub site: &'a str,
    /// Address that starts a flow, for a link.
    pub connect: &'a str,
    /// Address of the status page, for a link.
    pub status: &'a str,
    /// Address that ends the connection, for a form with the method POST. Only the status page of a connection has it.
    pub disconnect: Option<&'a str>,
    /// Where the user goes on, for a link.
    pub return_to: &'a str,
}

/// What a page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageKind {
    /// The subject's connection, or that there is none.
    Status,
    /// The subject is connected, and the callback was loaded again.
    Callback,
    /// Another site sent the browser here to start a flow. A link to [`connect`](Page::connect) starts it.
    Confirm,
    /// The request failed.
    Problem(FlowProblem),
}

/// Renders a page as HTML.
pub(super) type Renderer = Box<dyn Fn(&Page<'_>) -> String + Send + Sync>;

const STYLE: &str = "\
:root { color-scheme: light dark; --soft: #5c5c5c }
@media (prefers-color-scheme: dark) { :root { --soft: #a8a8a8 } }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; min-height: 100dvh; display: grid; grid-template-columns: minmax(0, 1fr); place-items: center }
main { box-sizing: border-box; width: min(30rem, 100%); padding: 2rem 1.5rem; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; line-height: 1.35; margin: 0 0 .75rem }
h1, dd { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 4; overflow: hidden }
p { margin: 0 0 1rem }
dl { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .25rem 1rem; margin: 0 0 1rem }
dt, .note { color: var(--soft) }
dd { margin: 0 }
.actions { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1.5rem 0 0 }
form { margin: 0 }
a, button { font: inherit; display: inline-block; box-sizing: border-box; min-height: 2.75rem; padding: .55rem 1rem; border: 1px solid #8a8a8a; border-radius: .4rem; background: transparent; color: inherit; text-decoration: none; cursor: pointer }
.first { background: #0b61c4; border-color: #0b61c4; color: #fff }
:focus-visible { outline: 3px solid #5aa2f5; outline-offset: 2px }
@media (max-width: 26rem) { .actions > * { flex: 1 1 100% } .actions a, button { width: 100%; text-align: center } }";

/// Renders the built-in page.
pub(super) fn render(page: &Page<'_>) -> String {
    let text = match (page.kind, page.connection) {
        (PageKind::Problem(problem), connection) => problem_text(page, problem, connection),
        (PageKind::Confirm, _) => confirm_text(page),
        (PageKind::Status | PageKind::Callback, Some(connection)) => {
            connection_text(page, connection)
        }
        (PageKind::Status | PageKind::Callback, None) => Text {
            title: "Notion is not connected",
            heading: "Notion is not connected".to_owned(),
            what: "No Notion workspace is connected yet. If you connect one, Notion asks you which pages to \
                   share with this site."
                .to_owned(),
            details: String::new(),
            actions: vec![
                first(page.connect, "Connect Notion"),
                link(page.return_to, "Back"),
            ],
        },
    };
    let Text {
        title,
        heading,
        what,
        details,
        actions,
    } = text;
    let (what, actions) = (escape(&what), actions.concat());
    let body = format!(
        "<h1>{heading}</h1>\n<p role=\"status\">{what}</p>\n{details}<div class=\"actions\">\n{actions}</div>"
    );
    document(title, STYLE, &body)
}

struct Text {
    title: &'static str,
    /// HTML.
    heading: String,
    what: String,
    /// HTML.
    details: String,
    /// HTML.
    actions: Vec<String>,
}

fn confirm_text(page: &Page<'_>) -> Text {
    let site = page.site;
    Text {
        title: "Connect Notion?",
        heading: format!("Connect Notion to {}?", escape(site)),
        what: format!(
            "Another site or app has sent you here. Continue only if you want to connect a Notion workspace to {site}."
        ),
        details: String::new(),
        actions: vec![
            first(page.connect, "Continue to Notion"),
            link(page.return_to, "Cancel"),
        ],
    }
}

fn connection_text(page: &Page<'_>, connection: &ConnectionStatus) -> Text {
    // Not the icon: it can be the URL of a picture, and pages load nothing.
    let workspace = workspace(connection).map_or("Notion".to_owned(), isolated);
    let again = || first(page.connect, "Connect again");
    let (title, heading, what, action) = match connection.state {
        RecordState::NeedsReauthorization(reason) => (
            "Connect Notion again",
            format!("Connect {workspace} again"),
            ended(reason).to_owned(),
            again(),
        ),
        RecordState::Unreadable => (
            "Notion is connected",
            format!("Connected to {workspace}"),
            "This site can't use the connection at the moment. Please try again later.".to_owned(),
            first(page.return_to, "Back"),
        ),
        _ if connection.invalid_token.is_some() => (
            "Connect Notion again",
            format!("Connect {workspace} again"),
            FlowProblem::InvalidToken.to_string(),
            again(),
        ),
        _ => (
            "Notion is connected",
            format!("Connected to {workspace}"),
            "This site can use the Notion pages that you have shared with it.".to_owned(),
            first(page.return_to, "Continue"),
        ),
    };
    let mut details = account(connection).map_or_else(String::new, |account| {
        format!(
            "<dl>{}</dl>\n",
            detail("Notion account", &isolated(account))
        )
    });
    let mut actions = vec![action];
    match (page.disconnect, page.kind) {
        (Some(disconnect), _) => {
            let loses = match connection.state {
                RecordState::NeedsReauthorization(_) => "forgets the connection",
                _ => "loses its access",
            };
            details.push_str(&format!(
                "<p class=\"note\">If you disconnect, this site {loses}. Nothing in Notion is deleted.</p>\n"
            ));
            actions.push(format!(
                "<form method=\"post\" action=\"{}\"><button>Disconnect</button></form>\n",
                escape(disconnect)
            ));
        }
        (None, PageKind::Callback) => actions.push(link(page.status, "Show the connection")),
        (None, _) => {}
    }
    Text {
        title,
        heading,
        what,
        details,
        actions,
    }
}

fn ended(reason: ReauthorizationReason) -> &'static str {
    match reason {
        ReauthorizationReason::Revoked => {
            "Notion no longer lets this site use the workspace. The connection may have been removed in Notion, or \
             made again elsewhere. Please connect it again."
        }
        ReauthorizationReason::RotationLost => {
            "This site lost its access to the workspace because of a technical problem. Nothing in Notion was \
             changed. Please connect it again."
        }
        ReauthorizationReason::NoRefreshToken | ReauthorizationReason::Expired => {
            "This site's access to the workspace has expired. Please connect it again."
        }
    }
}

fn problem_text(
    page: &Page<'_>,
    problem: FlowProblem,
    connection: Option<&ConnectionStatus>,
) -> Text {
    use FlowProblem as P;

    let title = match problem {
        P::NotFound => "Page not found",
        P::NoSubject => "Please sign in",
        P::Prefetch | P::NotOpened => "Please open this page",
        P::Denied => "Connecting was cancelled",
        P::MethodNotAllowed
        | P::QueryTooLong
        | P::InvalidReturnTarget
        | P::FlowTooLarge
        | P::UnknownFlow
        | P::UsedFlow => "This link doesn't work",
        P::CrossSite => "Please try again on this site",
        P::ExpiredFlow => "That took too long",
        P::ForeignFlow => "You have changed accounts",
        P::TooManyAttempts => "Too many attempts",
        P::InvalidToken => "Please connect again",
        P::IdentityRefused => "Another account or workspace",
        P::NotAccepted => "This can't be connected",
        P::StoreUnavailable => "Please try again",
        P::Misconfigured => "This site has a problem",
        P::DuplicateParameter
        | P::WrongIssuer
        | P::MissingCode
        | P::MissingState
        | P::AuthorizationFailed
        | P::ExchangeFailed => "Connecting did not work",
    };
    let is_about_the_connection = matches!(
        problem,
        P::CrossSite | P::IdentityRefused | P::StoreUnavailable
    );
    let can_connect = match problem {
        P::NotFound
        | P::MethodNotAllowed
        | P::QueryTooLong
        | P::NoSubject
        | P::FlowTooLarge
        | P::CrossSite
        | P::StoreUnavailable
        | P::Misconfigured => false,
        P::Prefetch
        | P::NotOpened
        | P::InvalidReturnTarget
        | P::Denied
        | P::AuthorizationFailed
        | P::DuplicateParameter
        | P::WrongIssuer
        | P::MissingCode
        | P::MissingState
        | P::UnknownFlow
        | P::UsedFlow
        | P::ExpiredFlow
        | P::ForeignFlow
        | P::TooManyAttempts
        | P::ExchangeFailed
        | P::InvalidToken
        | P::IdentityRefused
        | P::NotAccepted => true,
    };
    let mut actions = Vec::new();
    if can_connect {
        actions.push((page.connect, "Start again"));
    }
    if is_about_the_connection {
        actions.push((page.status, "Show the connection"));
    }
    actions.push((page.return_to, "Back"));
    let actions = actions.into_iter().enumerate();
    let actions = actions.map(|(index, (target, label))| match index {
        0 => first(target, label),
        _ => link(target, label),
    });
    let works =
        |it: &&ConnectionStatus| it.state == RecordState::Active && it.invalid_token.is_none();
    let mut details = Vec::new();
    if let Some(refused) = page.refused_workspace.and_then(visible) {
        details.push(detail("You chose", &isolated(refused)));
    }
    if let Some(connection) = connection.filter(works) {
        let workspace = workspace(connection).map_or("Notion".to_owned(), isolated);
        details.push(detail("Still connected", &workspace));
        let account = account(connection).map(|it| detail("Notion account", &isolated(it)));
        details.extend(account);
    }
    let details = match details.is_empty() {
        true => String::new(),
        false => format!("<dl>{}</dl>\n", details.concat()),
    };
    Text {
        title,
        heading: escape(title),
        what: problem.to_string(),
        details,
        actions: actions.collect(),
    }
}

fn workspace(connection: &ConnectionStatus) -> Option<&str> {
    connection.workspace_name.as_deref().and_then(visible)
}

fn account(connection: &ConnectionStatus) -> Option<&str> {
    connection.account.as_deref().and_then(visible)
}

fn visible(name: &str) -> Option<&str> {
    Some(name.trim()).filter(|name| !name.is_empty())
}

/// Escapes a name, and keeps its writing direction from changing that of the text around it.
fn isolated(name: &str) -> String {
    format!("<bdi>{}</bdi>", escape(name))
}

/// Both are HTML.
fn detail(term: &str, description: &str) -> String {
    format!("<dt>{term}</dt><dd>{description}</dd>")
}

fn first(target: &str, label: &str) -> String {
    format!(
        "<a class=\"first\" href=\"{}\">{label}</a>\n",
        escape(target)
    )
}

fn link(target: &str, label: &str) -> String {
    format!("<a href=\"{}\">{label}</a>\n", escape(target))
}
