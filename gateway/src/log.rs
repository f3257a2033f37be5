//! The log on the standard error output, as text or JSON.

use notion_auth::BoxError;
use tracing_subscriber::filter::LevelFilter;

use crate::settings::text;

/// Starts the log in the form that `GATEWAY_LOG` names. Returns whether it is JSON.
pub(crate) fn start(level: LevelFilter) -> Result<bool, BoxError> {
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(level);
    match text("GATEWAY_LOG")?.as_deref() {
        None | Some("text") => {
            log.init();
            Ok(false)
        }
        Some("json") => {
            log.json().flatten_event(true).init();
            Ok(true)
        }
        Some(_) => Err("GATEWAY_LOG: write text or json".into()),
    }
}
