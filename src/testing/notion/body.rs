use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{error::MockError, state::Handling};

/// The body of a response, complete or truncated.
pub struct MockBody {
    data: Option<Bytes>,
    missing: Missing,
    handling: Option<Handling>,
}

#[derive(Clone, Copy)]
enum Missing {
    Nothing,
    Bytes { count: u64, waited: bool },
}

impl MockBody {
    /// Creates a complete body. The call counts as answered once the last byte has been taken.
    pub(super) fn whole(data: Bytes, handling: Option<Handling>) -> Self {
        let mut body = Self {
            data: Some(data).filter(|data| !data.is_empty()),
            missing: Missing::Nothing,
            handling,
        };
        if body.data.is_none() {
            body.answered();
        }
        body
    }

    /// Creates a body that fails after half of `data`.
    pub(super) fn truncated(mut data: Bytes, handling: Option<Handling>) -> Self {
        let missing = data.split_off(data.len() / 2);
        Self {
            data: Some(data),
            missing: Missing::Bytes {
                count: missing.len() as u64,
                waited: false,
            },
            handling,
        }
    }

    fn answered(&mut self) {
        if let Some(handling) = self.handling.take() {
            handling.answered();
        }
    }
}

impl Body for MockBody {
    type Data = Bytes;
    type Error = MockError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, MockError>>> {
        if let Some(data) = self.data.take() {
            if matches!(self.missing, Missing::Nothing) {
                self.answered();
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match &mut self.missing {
            Missing::Nothing => Poll::Ready(None),
            // Waits for one poll, so that the connection flushes the first half before it breaks.
            Missing::Bytes { waited, .. } if !*waited => {
                *waited = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Missing::Bytes { .. } => {
                self.missing = Missing::Nothing;
                self.handling = None;
                Poll::Ready(Some(Err(MockError::truncated())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && matches!(self.missing, Missing::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        let here = self.data.as_ref().map_or(0, |data| data.len() as u64);
        let missing = match self.missing {
            Missing::Nothing => 0,
            Missing::Bytes { count, .. } => count,
        };
        SizeHint::with_exact(here + missing)
    }
}

impl fmt::Debug for MockBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockBody").finish_non_exhaustive()
    }
}
