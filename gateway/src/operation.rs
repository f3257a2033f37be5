//! Settings of limits, passed headers, logs and metrics.

use notion_auth::BoxError;

use crate::{headers::RequestHeaders, listen::Listen, settings::text};

/// Requests in flight. Each may keep 512 KiB of its body in memory.
const IN_ALL: usize = 1024;
const PER_SUBJECT: usize = 128;

/// More connections than these are not accepted even if the system allows them.
const CONNECTIONS: usize = 16 * 1024;

/// File descriptors for the store, the listeners and files.
const RESERVED: usize = 128;

/// How the gateway treats its callers and reports on them.
pub(crate) struct Operation {
    pub(crate) max_requests: usize,
    pub(crate) max_requests_per_subject: usize,
    pub(crate) max_connections: usize,
    pub(crate) request_headers: RequestHeaders,
    pub(crate) is_access_logged: bool,
    /// `None`: the metrics are at the address of everything else.
    pub(crate) metrics_listen: Option<Listen>,
}

impl Operation {
    /// Reads the environment. An error names the variable.
    pub(crate) async fn from_env() -> Result<Self, BoxError> {
        let descriptors = descriptors();
        let available = descriptors.saturating_sub(RESERVED) / 2;
        if available == 0 {
            return Err(format!(
                "this process may have only {descriptors} file descriptors: raise `ulimit -n` to {} or more",
                RESERVED + 2
            )
            .into());
        }
        let max_requests = number("GATEWAY_MAX_REQUESTS", IN_ALL.min(available))?;
        if max_requests > available {
            return Err(format!(
                "GATEWAY_MAX_REQUESTS: {max_requests} requests need more than the {descriptors} file \
                 descriptors that this process may have: raise `ulimit -n`, or set it to at most {available}"
            )
            .into());
        }
        let max_requests_per_subject = number(
            "GATEWAY_MAX_REQUESTS_PER_SUBJECT",
            PER_SUBJECT.min(max_requests),
        )?;
        if max_requests_per_subject > max_requests {
            return Err(format!(
                "GATEWAY_MAX_REQUESTS_PER_SUBJECT: {max_requests_per_subject} is more than \
                 GATEWAY_MAX_REQUESTS, which is {max_requests}"
            )
            .into());
        }
        let request_headers = text("GATEWAY_PASS_HEADERS")?.unwrap_or_default();
        let request_headers = RequestHeaders::and(&request_headers)
            .map_err(|error| format!("GATEWAY_PASS_HEADERS: {error}"))?;
        let is_access_logged = match text("GATEWAY_ACCESS_LOG")?.as_deref() {
            None | Some("on") => true,
            Some("off") => false,
            Some(_) => return Err("GATEWAY_ACCESS_LOG: write on or off".into()),
        };
        Ok(Self {
            max_requests,
            max_requests_per_subject,
            // Each request has a connection to Notion as well.
            max_connections: CONNECTIONS.min(descriptors - RESERVED - max_requests),
            request_headers,
            is_access_logged,
            metrics_listen: Listen::metrics_from_env().await?,
        })
    }
}

fn number(name: &str, default: usize) -> Result<usize, BoxError> {
    let Some(text) = text(name)? else {
        return Ok(default);
    };
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{name}: write a number of requests, at least 1").into()),
    }
}

/// Returns how many file descriptors this process may have. Many systems begin with 1024, for programs that use `select`,
/// and let a process raise the limit.
#[cfg(unix)]
fn descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    // macOS refuses to set more than its `OPEN_MAX`, even where no limit is known.
    for wanted in [(2 * CONNECTIONS) as u64, 10_240] {
        let wanted = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        if limit.current.is_none_or(|current| current >= wanted) {
            break;
        }
        let raised = Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            break;
        }
    }
    let current = getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |current| {
        usize::try_from(current).unwrap_or(usize::MAX)
    })
}

#[cfg(not(unix))]
fn descriptors() -> usize {
    2 * CONNECTIONS
}
