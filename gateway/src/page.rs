//! The page on which a workspace is connected.

use std::time::SystemTime;

use maud::{DOCTYPE, Markup, html};
use notion_auth::{AuthError, provider::ConnectionStatus, store::RecordState};
use time::{OffsetDateTime, macros::format_description};
use url::Url;

use crate::{site::Site, visitor::Visitor};

pub(crate) fn sign_in(site: &Site, problem: Option<&str>) -> Markup {
    layout(html! {
        p { "Sign in with a gateway key that may connect. You can then choose the Notion workspace." }
        @if let Some(problem) = problem { p role="alert" { (problem) } }
        form method="post" action=(site.path("/connect/sign-in")) {
            label for="key" { "Gateway key" }
            input #key name="key" type="password" required autocomplete="current-password" autofocus;
            button { "Sign in" }
        }
        p .note { "Did another site send you here? Go back to it, and start again there." }
    })
}

/// Asks whether the visitor wants what a link is for.
pub(crate) fn link(site: &Site, visitor: &Visitor, token: &str) -> Markup {
    layout(html! {
        p { "You are about to connect a Notion workspace for " strong { (visitor.name()) } "." }
        p .note {
            "Continue only if that is you. If somebody else sent you this link, close the page: that person would \
             get access to your workspace."
        }
        form method="post" action=(site.path("/connect/link")) {
            input type="hidden" name="token" value=(token);
            button { "Continue" }
        }
        (back(visitor))
    })
}

/// For a visitor whose page is of another account than the one that the browser is signed in for.
pub(crate) fn of_another_account(site: &Site, visitor: &Visitor) -> Markup {
    layout(html! {
        p role="alert" { "Nothing was changed: that page was of another account." }
        p { "This browser is now signed in for " strong { (visitor.name()) } "." }
        p { a.button href=(site.path("/connect")) { "Continue" } }
    })
}

pub(crate) fn link_is_gone() -> Markup {
    layout(html! {
        p role="alert" { "This link can’t be used any more. A link works once, for a few minutes." }
        p { "Go back to the site that sent you here, and start again there." }
    })
}

pub(crate) fn try_again(visitor: &Visitor) -> Markup {
    layout(html! {
        p role="alert" { "Something went wrong on our side. Please try again in a moment." }
        (back(visitor))
    })
}

/// A way back to the site that sent the visitor.
fn back(visitor: &Visitor) -> Markup {
    let url = visitor.return_to().and_then(|it| Url::parse(it).ok());
    html! {
        @if let Some(url) = url {
            p { a href=(url) { "Back to " (url.host_str().unwrap_or_default()) } }
        }
    }
}

pub(crate) fn connection(
    site: &Site,
    visitor: Option<&Visitor>,
    status: &Result<Option<ConnectionStatus>, AuthError>,
) -> Markup {
    layout(html! {
        @if let Some(visitor) = visitor { p .note { "Signed in for " strong { (visitor.name()) } } }
        @match status {
            Ok(Some(status)) => (connected(site, visitor, status)),
            Ok(None) => {
                p { "No workspace is connected." }
                (connect(site, visitor, "Connect Notion"))
            }
            Err(error) => p role="alert" { (error) },
        }
        @if let Some(visitor) = visitor { (back(visitor)) }
        form method="post" action=(site.path("/connect/sign-out")) { button .quiet { "Sign out" } }
    })
}

fn connected(site: &Site, visitor: Option<&Visitor>, status: &ConnectionStatus) -> Markup {
    let workspace = status.workspace_name.as_deref().unwrap_or("A workspace");
    html! {
        @match status.state {
            RecordState::Active if status.invalid_token.is_some() => {
                p role="alert" { "The connection with " strong { (workspace) } " can’t be used." }
                (connect(site, visitor, "Connect again"))
            }
            RecordState::Active => {
                p { strong { (workspace) } " is connected." }
                @if let Some(time) = status.refreshed_at.or(status.connected_at) {
                    p .note { "Last confirmed by Notion: " (shown(time)) }
                }
                (replace(site, visitor, workspace))
            },
            // Connecting again would not help while a key is missing.
            RecordState::Unreadable => p role="alert" {
                "The connection with " strong { (workspace) } " can’t be read at the moment. Please try again later."
            },
            _ => {
                p role="alert" { "The connection with " strong { (workspace) } " has ended." }
                (connect(site, visitor, "Connect again"))
                (replace(site, visitor, workspace))
            }
        }
        form method="post" action=(target(site, visitor, "/connect/disconnect")) { button .second { "Disconnect" } }
    }
}

fn connect(site: &Site, visitor: Option<&Visitor>, label: &str) -> Markup {
    html! { p { a .button href=(target(site, visitor, "/connect/authorize")) { (label) } } }
}

fn replace(site: &Site, visitor: Option<&Visitor>, workspace: &str) -> Markup {
    html! {
        form method="post" action=(target(site, visitor, "/connect/replace")) {
            button .second { "Connect another account or workspace" }
        }
        p .note { "It takes the place of " strong { (workspace) } " when you have chosen it." }
    }
}

/// Returns the address of a route, which says of which account the page is.
fn target(site: &Site, visitor: Option<&Visitor>, route: &str) -> String {
    match visitor {
        Some(visitor) => format!("{}?page={}", site.path(route), visitor.mark()),
        None => site.path(route),
    }
}

fn shown(time: SystemTime) -> String {
    let format =
        format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
    OffsetDateTime::from(time)
        .format(format)
        .unwrap_or_default()
}

fn layout(body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Gateway to Notion" }
                style { (maud::PreEscaped(include_str!("style.css"))) }
            }
            body { main { h1 { "Gateway to Notion" } (body) } }
        }
    }
}
