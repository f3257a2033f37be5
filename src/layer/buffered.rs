use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use pin_project_lite::pin_project;

pin_project! {
    /// Body of a proxied request, of which the first bytes were read into memory.
    ///
    /// If they are the whole body, a layer can send the request again after a 401. A longer body passes on as a stream,
    /// and is sent once.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http::Request;
    /// use notion_auth::{BoxError, HttpsClient, NotionAuth, layer::BufferedBody};
    /// use tower::ServiceExt;
    ///
    /// # type Body = http_body_util::Full<Bytes>;
    /// type Client = NotionAuth<HttpsClient<BufferedBody<Body>>>;
    ///
    /// async fn forward(notion: Client, request: Request<Body>) -> Result<(), BoxError> {
    ///     let (head, body) = request.into_parts();
    ///     let body = BufferedBody::read(body, 512 * 1024).await?;
    ///     let response = notion.oneshot(Request::from_parts(head, body)).await?;
    ///     # drop(response);
    ///     Ok(())
    /// }
    /// ```
    pub struct BufferedBody<B: Body> {
        buffered: Bytes,
        trailers: Option<HeaderMap>,
        #[pin]
        rest: Option<B>,
    }
}

impl<B: Body + Unpin> BufferedBody<B> {
    /// Reads the body until its end, or until there are more than `limit` bytes.
    ///
    /// # Errors
    /// The error of the body.
    pub async fn read(mut body: B, limit: usize) -> Result<Self, B::Error> {
        let mut buffered = BytesMut::new();
        let mut trailers = None;
        while buffered.len() <= limit {
            match body.frame().await.transpose()?.map(Frame::into_data) {
                Some(Ok(mut data)) => {
                    let data = data.copy_to_bytes(data.remaining());
                    buffered.extend_from_slice(&data);
                }
                Some(Err(frame)) => trailers = frame.into_trailers().ok().or(trailers),
                None => {
                    return Ok(Self {
                        buffered: buffered.freeze(),
                        trailers,
                        rest: None,
                    });
                }
            }
        }
        Ok(Self {
            buffered: buffered.freeze(),
            trailers,
            rest: Some(body),
        })
    }
}

impl<B: Body> BufferedBody<B> {
    /// Returns the body once more, if it was read to its end.
    pub(super) fn copy(&self) -> Option<Self> {
        self.rest.is_none().then(|| Self {
            buffered: self.buffered.clone(),
            trailers: self.trailers.clone(),
            rest: None,
        })
    }
}

impl<B: Body> Body for BufferedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if !this.buffered.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(this.buffered)))));
        }
        if let Some(trailers) = this.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        match this.rest.as_pin_mut() {
            Some(rest) => rest
                .poll_frame(cx)
                .map_ok(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.buffered.is_empty()
            && self.trailers.is_none()
            && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let buffered = self.buffered.len() as u64;
        let rest = self
            .rest
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(buffered));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(buffered));
        }
        hint
    }
}

impl<B: Body> fmt::Debug for BufferedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedBody")
            .field("buffered_bytes", &self.buffered.len())
            .field("is_whole", &self.rest.is_none())
            .finish_non_exhaustive()
    }
}
