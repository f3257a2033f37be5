//! A gateway to Notion's API that keeps its users' credentials away from the services behind it.
//!
//! A service calls the gateway as it would call Notion, with a key of the gateway in place of a token. The gateway
//! puts the credentials of that key's subject on the request and sends it on. A user connects a workspace at
//! `/connect`.

mod access;
mod body;
mod changes;
mod check_config;
mod cli;
mod commands;
mod connect;
mod connections;
mod database;
#[cfg(feature = "demo")]
mod demo;
mod encryption_keys;
mod envelope;
mod forward;
mod headers;
mod health;
mod host;
mod import;
mod key_lines;
mod keys;
mod limits;
mod link;
mod listen;
mod log;
mod new_key;
mod operation;
mod output;
mod page;
mod path;
mod rotate;
mod sealed;
mod server;
mod settings;
mod site;
mod upstream;
mod variables;
mod vault;
mod visitor;
mod wrong_keys;

use std::process::ExitCode;

use clap::Parser as _;
use notion_auth::BoxError;
use tracing_subscriber::filter::LevelFilter;

use crate::{
    cli::{Cli, Command, KeyCommand},
    settings::{ConnectionSettings, Settings},
};

#[tokio::main]
async fn main() -> ExitCode {
    let command = Cli::parse().command.unwrap_or(Command::Serve);
    let level = match command {
        Command::Serve => LevelFilter::INFO,
        #[cfg(feature = "demo")]
        Command::Demo => LevelFilter::WARN,
        // It waits for the store, and says so.
        Command::Import(_) => LevelFilter::WARN,
        _ => LevelFilter::ERROR,
    };
    let (done, is_json) = match log::start(level) {
        Ok(is_json) => (run(command).await, is_json),
        Err(error) => (Err(error), false),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            match is_json {
                true => tracing::error!("{error}"),
                false => eprintln!("gateway: {error}"),
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, BoxError> {
    let provider = async || vault::open_existing(&ConnectionSettings::from_env()?).await;
    // With NOTION_TOKEN there is nothing that a connection is used for.
    let oauth_provider = async || {
        let settings = ConnectionSettings::from_env()?;
        match settings.app.has_oauth_client() {
            true => vault::open_existing(&settings).await,
            false => Err(
                "NOTION_CLIENT_ID is not set: this command works on connections of an OAuth client"
                    .into(),
            ),
        }
    };
    match command {
        Command::Serve => server::serve(Settings::from_env().await?).await,
        Command::CheckConfig => check_config::check().await,
        Command::Key {
            command: KeyCommand::New(options),
        } => new_key::print(&options),
        Command::List(options) => commands::list(&provider().await?, options).await,
        Command::Show(options) => commands::show(&provider().await?, options).await,
        Command::Check(options) => {
            return match commands::check(&oauth_provider().await?, options).await? {
                true => Ok(ExitCode::SUCCESS),
                false => Ok(ExitCode::FAILURE),
            };
        }
        Command::Refresh(options) => commands::refresh(&oauth_provider().await?, options).await,
        Command::Disconnect(options) => {
            commands::disconnect(&oauth_provider().await?, options).await
        }
        Command::Import(options) => import::import(&ConnectionSettings::from_env()?, options).await,
        Command::Rotate(options) => rotate::rotate(&provider().await?, &options).await,
        #[cfg(feature = "demo")]
        Command::Demo => demo::serve().await,
    }?;
    Ok(ExitCode::SUCCESS)
}
