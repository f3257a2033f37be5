//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A gateway to Notion's API for services that hold no Notion tokens
#[derive(Debug, Parser)]
#[command(version, after_help = include_str!("help.txt"))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve (the default)
    #[command(after_help = include_str!("serve_help.txt"))]
    Serve,
    /// Show the settings without secrets, and try the store and Notion
    CheckConfig,
    /// Make a key
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// List the connections
    List(List),
    /// Show a subject's connection as it is stored
    Show(Subject),
    /// Ask Notion whether a subject's connection works now
    Check(Subject),
    /// Refresh a subject's tokens now
    Refresh(Subject),
    /// End a subject's connection, and revoke its tokens
    ///
    /// Gateways with the same store may use the revoked token for up to a minute, until they read the store again.
    /// Notion refuses it from the revocation on.
    Disconnect(Subject),
    /// Store credentials from a file of JSON lines
    ///
    /// A line is {"subject":"…","credentials":{"access_token":"…","refresh_token":"…"}}. Other members of Notion's
    /// token answer may be there. Subjects that are connected, or were disconnected within 24 hours, are left alone.
    Import(Import),
    /// Encrypt all records with the first of NOTION_AUTH_KEYS
    Rotate(Output),
    /// Serve in front of a mock of Notion, to try it without an account
    #[cfg(feature = "demo")]
    Demo,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Print a new key once, and its line for GATEWAY_KEYS_FILE to standard output
    New(NewKey),
}

#[derive(Debug, Args)]
pub(crate) struct NewKey {
    /// Whose credentials the key uses; '*' for a service
    ///
    /// Requests of a service name the subject in the header Notion-Auth-Subject.
    #[arg(long)]
    pub(crate) subject: String,
    /// The key connects, and doesn't call Notion
    ///
    /// It signs in at /connect. With --subject '*', it makes links by which customers connect.
    #[arg(long)]
    pub(crate) connect: bool,
    /// The key's name in logs [default: a random one]
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// When the key ends: 2027-01-31 or 2027-01-31T12:00:00Z
    #[arg(long)]
    pub(crate) expires: Option<String>,
    /// The paths that the key may call, such as /v1/pages,/v1/users
    #[arg(long)]
    pub(crate) paths: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only subjects that begin with this
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// Only connections in this state
    ///
    /// active, disconnected, unreadable, needs_reauthorization, or one of its reasons: revoked, rotation_lost,
    /// no_refresh_token, expired
    #[arg(long)]
    pub(crate) state: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Subject {
    pub(crate) subject: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file; - for standard input
    pub(crate) file: PathBuf,
    /// Replace the credentials of connected subjects
    ///
    /// A second run would replace refreshed tokens by spent ones.
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}
