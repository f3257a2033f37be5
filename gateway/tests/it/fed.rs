//! A body that a test feeds piece by piece.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// It ends when its feeder is dropped; the feeder is [closed](UnboundedSender::closed) when it is.
pub(super) struct Fed(UnboundedReceiver<Bytes>);

pub(super) fn fed() -> (UnboundedSender<Bytes>, Fed) {
    let (feeder, receiver) = unbounded_channel();
    (feeder, Fed(receiver))
}

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = ready!(self.0.poll_recv(context));
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}
