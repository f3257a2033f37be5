//! The pages.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use notion_auth::{provider::ConnectionStatus, store::RecordState};
use serde_json::Value;

/// A visitor's connection, for the page.
pub(crate) enum Connection {
    None,
    /// The stored connection, and the answer of the API.
    Some(Box<ConnectionStatus>, Result<Value, String>),
    Unknown(String),
}

pub(crate) fn sign_in() -> Markup {
    layout(html! {
        main .door {
            (brand())
            div .card {
                h1 { "Sign in" }
                p .soft { "Planner plans your week from the pages of your Notion workspace." }
                form method="post" action="/sign-in" {
                    label for="name" { "Your name" }
                    input #name name="name" required maxlength="40" autocomplete="username" autofocus;
                    button .first.wide { "Sign in" }
                }
            }
        }
    })
}

pub(crate) fn signed_in(name: &str, connection: &Connection, returned: Option<&str>) -> Markup {
    layout(html! {
        header {
            (brand())
            form .account method="post" action="/sign-out" {
                span .name { (name) }
                button .small { "Sign out" }
            }
        }
        main {
            @match returned {
                Some("connected") => p .notice role="status" { "Your workspace is connected." },
                Some("disconnected") => p .notice role="status" { "Your workspace is disconnected." },
                _ => {}
            }
            h1 { "Your workspace" }
            p .soft { "Planner reads the pages that you choose, and no others." }
            section #connection .card {
                @match connection {
                    Connection::None => (not_connected()),
                    Connection::Some(status, me) => (connected(status, me)),
                    Connection::Unknown(error) => {
                        h2 { "Notion" }
                        p role="alert" { (error) }
                    }
                }
            }
        }
    })
}

fn not_connected() -> Markup {
    html! {
        div .workspace {
            span .icon.none aria-hidden="true" { "+" }
            div {
                h2 { "Notion" }
                p .state.soft { "Not connected" }
            }
        }
        p { "Notion will ask you which workspace and which pages to share." }
        a #connect .button.first href="/notion/authorize" { "Connect Notion" }
    }
}

fn connected(status: &ConnectionStatus, me: &Result<Value, String>) -> Markup {
    let workspace = status.workspace_name.as_deref().unwrap_or("A workspace");
    let is_usable = status.invalid_token.is_none();
    let connect_again = !is_usable || matches!(status.state, RecordState::NeedsReauthorization(_));
    html! {
        div .workspace {
            (icon(status.workspace_icon.as_deref(), workspace))
            div {
                h2 #workspace { (workspace) }
                @match status.state {
                    RecordState::Active if is_usable => p .state.active { "Connected" },
                    RecordState::Active => p .state.ended { "The connection can’t be used" },
                    RecordState::Unreadable => p .state.ended { "The connection can’t be read at the moment" },
                    _ => p .state.ended { "The connection has ended" },
                }
            }
        }
        @match me {
            Ok(me) => (answer(me)),
            Err(error) => p role="alert" { (error) },
        }
        div .actions {
            @if connect_again {
                a #connect .button.first href="/notion/authorize" { "Connect again" }
            }
            form method="post" action="/notion/disconnect" {
                button #disconnect .last { "Disconnect" }
            }
        }
    }
}

fn answer(me: &Value) -> Markup {
    let integration = me["name"].as_str();
    let owner = me["bot"]["owner"]["user"]["name"].as_str();
    html! {
        dl {
            @if let Some(integration) = integration { dt { "Integration" } dd { (integration) } }
            @if let Some(owner) = owner { dt { "Shared by" } dd { (owner) } }
        }
        details open {
            summary { "Notion’s answer to " code { "GET /v1/users/me" } }
            pre #me tabindex="0" { (format!("{me:#}")) }
        }
    }
}

/// Shows a workspace's icon, which is the URL of a picture or an emoji.
fn icon(icon: Option<&str>, workspace: &str) -> Markup {
    html! {
        span .icon aria-hidden="true" {
            @match icon {
                Some(url) if url.starts_with("https://") => img src=(url) alt="" referrerpolicy="no-referrer";,
                Some(emoji) if emoji.chars().count() <= 8 => (emoji),
                _ => @if let Some(letter) = workspace.chars().next() { (letter) },
            }
        }
    }
}

fn brand() -> Markup {
    html! {
        div .brand {
            svg viewBox="0 0 28 28" fill="none" aria-hidden="true" {
                rect width="28" height="28" rx="7" fill="currentColor" {}
                path d="M8 14.5l4 4 8-9" stroke="#fff" stroke-width="2.6" stroke-linecap="round" stroke-linejoin="round" {}
            }
            "Planner"
        }
    }
}

fn layout(body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Planner" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body { (body) }
        }
    }
}
