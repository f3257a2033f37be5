//! A gateway to Notion's API that keeps its users' credentials away from the services behind it.
//!
//! ```sh
//! cargo run --release -p notion-auth-gateway -- --help
//! ```
//!
//! A service calls the gateway as it would call Notion, with a key of the gateway in the place of a
//! token. The gateway knows whose key it is, puts that subject's credentials on the request and sends it
//! on. A user connects a workspace at `/connect`.

mod access;
mod body;
mod connect;
mod connections;
mod envelope;
mod forward;
mod headers;
mod health;
mod host;
mod keys;
mod keys_file;
mod limits;
mod log;
mod operation;
mod page;
mod path;
mod rotate;
mod server;
mod settings;
mod upstream;
mod vault;

use std::{env, process::ExitCode};

use crate::settings::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] | ["rotate"] => {}
        [.., "--help" | "-h"] => {
            print!("{}", include_str!("help.txt"));
            return ExitCode::SUCCESS;
        }
        [.., other] => {
            eprintln!("gateway: {other} is not known: settings are in the environment, see --help");
            return ExitCode::FAILURE;
        }
    }
    let settings = match log::start() {
        Ok(()) => Settings::from_env().await,
        Err(error) => Err(error),
    };
    let done = match settings {
        Ok(settings) if arguments.is_empty() => server::serve(settings).await,
        Ok(settings) => rotate::rotate(settings).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}
