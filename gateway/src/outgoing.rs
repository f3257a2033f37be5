//! Bodies on their way to Notion.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::{HeaderMap, header::CONTENT_TYPE},
};
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

/// JSON up to here is kept until the answer is there. Notion itself takes 500 KB.
const KEPT: usize = 512 * 1024;

/// A body that was read whole, which can be sent again, or one that is passed on as it comes.
pub(crate) struct Outgoing {
    start: Option<Bytes>,
    rest: Option<Body>,
}

impl Outgoing {
    /// Reads a body whose headers say that it is short JSON, and leaves any other as it is.
    pub(crate) async fn read(headers: &HeaderMap, mut body: Body) -> Result<Self, axum::Error> {
        if !is_json(headers) && !http_body::Body::is_end_stream(&body) {
            return Ok(Self {
                start: None,
                rest: Some(body),
            });
        }
        let mut start = BytesMut::new();
        while let Some(frame) = body.frame().await {
            // What is not data are trailers, which no JSON needs.
            if let Ok(data) = frame?.into_data() {
                start.extend_from_slice(&data);
            }
            if start.len() > KEPT {
                return Ok(Self {
                    start: Some(start.freeze()),
                    rest: Some(body),
                });
            }
        }
        Ok(Self {
            start: Some(start.freeze()).filter(|start| !start.is_empty()),
            rest: None,
        })
    }

    /// The same once more, if it was read whole.
    pub(crate) fn copy(&self) -> Option<Self> {
        self.rest.is_none().then(|| Self {
            start: self.start.clone(),
            rest: None,
        })
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(start) = self.start.take() {
            return Poll::Ready(Some(Ok(Frame::data(start))));
        }
        match &mut self.rest {
            Some(rest) => Pin::new(rest).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.start.is_none()
            && self
                .rest
                .as_ref()
                .is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let start = self.start.as_ref().map_or(0, |start| start.len() as u64);
        let rest = self.rest.as_ref().map(http_body::Body::size_hint);
        let rest = rest.unwrap_or_else(|| SizeHint::with_exact(0));
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(start));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(start));
        }
        hint
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
