//! The page on which a workspace is connected.

use maud::{DOCTYPE, Markup, html};
use notion_auth::{AuthError, provider::ConnectionStatus, store::RecordState};

pub(crate) fn sign_in(problem: Option<&str>) -> Markup {
    layout(html! {
        p { "With a key of the gateway you connect the Notion workspace that its calls go to." }
        @if let Some(problem) = problem { p role="alert" { (problem) } }
        form method="post" action="/connect/sign-in" {
            label for="key" { "Gateway key" }
            input #key name="key" type="password" required autocomplete="current-password" autofocus;
            button { "Sign in" }
        }
    })
}

pub(crate) fn connection(status: &Result<Option<ConnectionStatus>, AuthError>) -> Markup {
    layout(html! {
        @match status {
            Ok(Some(status)) => (connected(status)),
            Ok(None) => {
                p { "No workspace is connected." }
                (connect("Connect Notion"))
            }
            Err(error) => p role="alert" { (error) },
        }
        form method="post" action="/connect/sign-out" { button .quiet { "Sign out" } }
    })
}

fn connected(status: &ConnectionStatus) -> Markup {
    let workspace = status.workspace_name.as_deref().unwrap_or("A workspace");
    html! {
        @match status.state {
            RecordState::Active if status.invalid_token.is_some() => {
                p role="alert" { "The connection with " strong { (workspace) } " can’t be used." }
                (connect("Connect again"))
            }
            RecordState::Active => p { strong { (workspace) } " is connected." },
            // Connecting again would not help while a key is missing.
            RecordState::Unreadable => p role="alert" {
                "The connection with " strong { (workspace) } " can’t be read at the moment. Please try again later."
            },
            _ => {
                p role="alert" { "The connection with " strong { (workspace) } " has ended." }
                (connect("Connect again"))
            }
        }
        form method="post" action="/connect/disconnect?return_to=/connect" { button { "Disconnect" } }
    }
}

fn connect(label: &str) -> Markup {
    html! { p { a .button href="/connect/authorize?return_to=/connect" { (label) } } }
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
