//! Records calls for the ledger.

use std::{collections::HashMap, time::Duration};

use http::request::Parts;

use super::{
    fault::Call,
    headers,
    ledger::{ApiCall, Ledger, Outcome, Presentation, TokenKind, Truth},
};

/// A token as it was presented, with the server's knowledge of it.
pub(super) struct Presented {
    pub(super) token: String,
    pub(super) token_kind: TokenKind,
    pub(super) bot_id: Option<String>,
}

#[derive(Default)]
pub(super) struct Log {
    calls: u64,
    presentations: Vec<Presentation>,
    api_calls: Vec<ApiCall>,
    in_flight: HashMap<String, Vec<u64>>,
    most_parallel: HashMap<String, usize>,
}

impl Log {
    pub(super) fn arrived(
        &mut self,
        at: Duration,
        endpoint: Call,
        head: &Parts,
        presented: Option<Presented>,
    ) -> u64 {
        self.calls += 1;
        let seq = self.calls;
        if endpoint == Call::Api {
            self.api_calls.push(api_call(seq, at, head));
        }
        if let Some(Presented {
            token,
            token_kind,
            bot_id,
        }) = presented
        {
            let others = self.in_flight.entry(token.clone()).or_default();
            let overlapping = !others.is_empty();
            others.push(seq);
            let most = self.most_parallel.entry(token.clone()).or_default();
            *most = (*most).max(others.len());
            for other in others.clone() {
                self.amend(other, |it| it.overlapping = true);
            }
            self.presentations.push(Presentation {
                seq,
                at,
                endpoint,
                token_kind,
                token,
                bot_id,
                outcome: Outcome::Undecided,
                answered: false,
                overlapping,
            });
        }
        seq
    }

    pub(super) fn decided(&mut self, seq: u64, outcome: Outcome) {
        self.amend(seq, |it| it.outcome = outcome);
    }

    pub(super) fn answering(&mut self, seq: u64, status: u16) {
        if let Ok(at) = self.api_calls.binary_search_by_key(&seq, |call| call.seq) {
            self.api_calls[at].status = Some(status);
        }
    }

    pub(super) fn left(&mut self, seq: u64, answered: bool) {
        let mut token = None;
        self.amend(seq, |it| {
            it.answered = answered;
            token = Some(it.token.clone());
        });
        let in_flight = token.and_then(|token| self.in_flight.get_mut(&token));
        if let Some(in_flight) = in_flight {
            in_flight.retain(|other| *other != seq);
        }
    }

    pub(super) fn ledger(&self, truth: Truth) -> Ledger {
        Ledger {
            presentations: self.presentations.clone(),
            api_calls: self.api_calls.clone(),
            most_parallel: self.most_parallel.clone(),
            truth,
        }
    }

    fn amend(&mut self, seq: u64, change: impl FnOnce(&mut Presentation)) {
        if let Ok(at) = self.presentations.binary_search_by_key(&seq, |it| it.seq) {
            change(&mut self.presentations[at]);
        }
    }
}

fn api_call(seq: u64, at: Duration, head: &Parts) -> ApiCall {
    let version = head.headers.get("notion-version");
    ApiCall {
        seq,
        at,
        method: head.method.clone(),
        path: head.uri.path().to_owned(),
        token: headers::bearer_token(&head.headers).map(str::to_owned),
        authorization_values: head
            .headers
            .get_all(http::header::AUTHORIZATION)
            .iter()
            .count(),
        notion_version: version.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        status: None,
    }
}
