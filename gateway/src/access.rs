//! The access log: one line per request, without secrets. The audit log: one line per change of a connection.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use axum::http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use metrics::counter;
use notion_auth::{Event, Subject};

use crate::{
    changes::{Change, Changes},
    envelope::Reason,
    keys::{Caller, Refused},
    limits::Permit,
    path,
    site::Site,
};

/// Longer identifiers in responses are cut off.
const ID_LENGTH: usize = 64;

/// Whether requests are logged.
#[derive(Debug, Clone)]
pub(crate) enum AccessLog {
    /// With these words in paths, beside those of the API.
    On(Arc<[String]>),
    Off,
}

impl AccessLog {
    /// Logs paths with the words of the operator's own.
    pub(crate) fn with_words_of(site: &Site) -> Self {
        let paths = [site.prefix(), site.callback()];
        let words = paths.iter().flat_map(|path| path.split('/'));
        Self::On(words.map(str::to_owned).collect())
    }
}

/// One request and its response, until the caller has the end of the response or is gone. A request extension.
pub(crate) struct Exchange {
    log: AccessLog,
    begun: Instant,
    method: Method,
    uri: Uri,
    key_id: OnceLock<Arc<str>>,
    subject: OnceLock<Subject>,
    /// Held until the end.
    permit: OnceLock<Permit>,
    is_refreshed: AtomicBool,
    response: OnceLock<Head>,
}

struct Head {
    status: StatusCode,
    refused: Option<&'static str>,
    notion_request_id: Option<HeaderValue>,
}

impl Exchange {
    pub(crate) fn begin<B>(log: AccessLog, request: &Request<B>) -> Self {
        Self {
            log,
            begun: Instant::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            key_id: OnceLock::new(),
            subject: OnceLock::new(),
            permit: OnceLock::new(),
            is_refreshed: AtomicBool::new(false),
            response: OnceLock::new(),
        }
    }

    /// Holds the permit until the end of the response. Only the first call has an effect.
    pub(crate) fn hold(&self, permit: Permit) {
        let _ = self.permit.set(permit);
    }

    /// Notes whose request it is.
    pub(crate) fn identify(&self, caller: &Caller) {
        let _ = self.key_id.set(Arc::clone(&caller.key_id));
        let _ = self.subject.set(caller.subject.clone());
    }

    pub(crate) fn responded<B>(&self, response: &Response<B>) {
        let refused = response.extensions().get::<Reason>();
        let refused = refused.map(|Reason(reason)| *reason);
        if let Some(reason) = refused {
            counter!("gateway_refusals_total", "reason" => reason).increment(1);
        }
        if let Some(permit) = self.permit.get() {
            self.is_refreshed
                .store(permit.is_refreshed(), Ordering::Relaxed);
        }
        let id = response.headers().get("x-notion-request-id");
        let _ = self.response.set(Head {
            status: response.status(),
            refused,
            notion_request_id: id.cloned(),
        });
    }
}

/// Notes whose request it is.
pub(crate) fn identify<B>(request: &Request<B>, caller: &Caller) {
    if let Some(exchange) = request.extensions().get::<Arc<Exchange>>() {
        exchange.identify(caller);
    }
}

/// Returns what is noted of the request.
pub(crate) fn exchange<B>(request: &Request<B>) -> Option<Arc<Exchange>> {
    request.extensions().get().cloned()
}

/// Takes what is noted out of a request that may outlive its connection.
pub(crate) fn forget<B>(request: &mut Request<B>) {
    request.extensions_mut().remove::<Arc<Exchange>>();
}

/// Notes the key of a request that is refused, if it is known.
pub(crate) fn refuse<B>(request: &Request<B>, refused: &Refused) {
    if let (Some(exchange), Some(id)) = (
        request.extensions().get::<Arc<Exchange>>(),
        refused.key_id(),
    ) {
        let _ = exchange.key_id.set(Arc::clone(id));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let AccessLog::On(words) = &self.log else {
            return;
        };
        let response = self.response.get();
        let id = response.and_then(|response| response.notion_request_id.as_ref());
        tracing::info!(
            target: "access",
            method = method(&self.method),
            path = path::template(self.uri.path(), words),
            // None: the caller went away.
            status = response.map(|response| response.status.as_u16()),
            refused = response.and_then(|response| response.refused),
            duration_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            key = self.key_id.get().map(|id| &**id),
            subject = self.subject.get().map(tracing::field::debug),
            notion_request_id = id.and_then(plain),
            refreshed = self.is_refreshed.load(Ordering::Relaxed),
        );
    }
}

/// A method of a caller's invention may be a secret or as long as a head.
fn method(method: &Method) -> &str {
    let known = [
        Method::GET,
        Method::POST,
        Method::PATCH,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ];
    match known.contains(method) {
        true => method.as_str(),
        false => "other",
    }
}

/// An identifier that is safe to log.
fn plain(id: &HeaderValue) -> Option<&str> {
    let id = id.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (id.len() <= ID_LENGTH && id.bytes().all(is_plain)).then_some(id)
}

/// Logs changes of connections, with the key of the request that made them.
pub(crate) fn audit(event: &Event, changes: &Changes) {
    let (change, subject, made_by) = match event {
        Event::Connected { subject, .. } => ("connected", subject, Some(Change::Connect)),
        Event::Disconnected { subject } => ("disconnected", subject, Some(Change::Disconnect)),
        Event::NeedsReauthorization {
            subject, reason, ..
        } => {
            tracing::info!(target: "audit", change = "ended", ?subject, ?reason);
            return;
        }
        Event::Recovered { subject, .. } => ("recovered", subject, None),
        Event::IdentityChanged {
            subject,
            is_refused: false,
        } => ("identity changed", subject, Some(Change::Connect)),
        Event::IdentityChanged {
            subject,
            is_refused: true,
        } => ("identity change refused", subject, Some(Change::Connect)),
        Event::BotShared { subject, other } => {
            tracing::info!(target: "audit", change = "bot shared", ?subject, ?other);
            return;
        }
        _ => return,
    };
    let key = made_by.and_then(|made_by| changes.key(made_by, subject));
    tracing::info!(target: "audit", change, ?subject, key);
}
