use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

/// Body of a proxied request, of which the first bytes were read into memory.
///
/// If they are the whole body, a layer can send the request again after a 401. A longer body passes on as a stream,
/// and is sent once.
///
/// ```
/// use bytes::Bytes;
/// use http::Request;
/// use notion_auth::{BoxError, HttpsClient, NotionAuth, Subject, layer::BufferedBody};
/// use tower::ServiceExt;
///
/// # type Body = http_body_util::Full<Bytes>;
/// type Client = NotionAuth<HttpsClient<BufferedBody<Body>>>;
///
/// async fn forward(notion: Client, request: Request<Body>, subject: Subject) -> Result<(), BoxError> {
///     let (mut head, body) = request.into_parts();
///     // The server's extensions are of no use to the client, and the layer would clone them.
///     head.extensions.clear();
///     head.extensions.insert(subject);
///     let body = BufferedBody::read(body, 512 * 1024).await?;
///     let response = notion.oneshot(Request::from_parts(head, body)).await?;
///     # drop(response);
///     Ok(())
/// }
/// ```
pub struct BufferedBody<B> {
    /// `None` for an empty body. Boxed, because clients move a request's body about fifty times.
    content: Option<Box<Content<B>>>,
}

struct Content<B> {
    buffered: Bytes,
    trailers: Option<HeaderMap>,
    rest: Option<B>,
}

impl<B: Body + Unpin> BufferedBody<B> {
    /// Reads the body until its end, or until there are more than `limit` bytes.
    ///
    /// # Errors
    /// The error of the body.
    pub async fn read(mut body: B, limit: usize) -> Result<Self, B::Error> {
        let mut buffered = BytesMut::new();
        let mut trailers = None;
        let rest = loop {
            if buffered.len() > limit {
                break Some(body);
            }
            match body.frame().await.transpose()?.map(Frame::into_data) {
                Some(Ok(mut data)) => {
                    // Copied: the frame may be a small part of a large buffer, which would be kept with it.
                    let data = data.copy_to_bytes(data.remaining());
                    buffered.extend_from_slice(&data);
                }
                Some(Err(frame)) => trailers = frame.into_trailers().ok().or(trailers),
                None => break None,
            }
        };
        Ok(Self::of(Content {
            buffered: buffered.freeze(),
            trailers,
            rest,
        }))
    }
}

impl<B> BufferedBody<B> {
    fn of(content: Content<B>) -> Self {
        let is_empty =
            content.buffered.is_empty() && content.trailers.is_none() && content.rest.is_none();
        Self {
            content: (!is_empty).then(|| Box::new(content)),
        }
    }

    /// Returns the body once more, if it was read to its end.
    pub(super) fn copy(&self) -> Option<Self> {
        let content = match &self.content {
            None => None,
            Some(content) if content.rest.is_none() => Some(Box::new(Content {
                buffered: content.buffered.clone(),
                trailers: content.trailers.clone(),
                rest: None,
            })),
            Some(_) => return None,
        };
        Some(Self { content })
    }
}

impl<B: Body + Unpin> Body for BufferedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(content) = &mut self.content else {
            return Poll::Ready(None);
        };
        if !content.buffered.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(mem::take(&mut content.buffered)))));
        }
        if let Some(trailers) = content.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        match &mut content.rest {
            Some(rest) => Pin::new(rest)
                .poll_frame(cx)
                .map_ok(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.content.as_ref().is_none_or(|it| {
            it.buffered.is_empty()
                && it.trailers.is_none()
                && it.rest.as_ref().is_none_or(Body::is_end_stream)
        })
    }

    fn size_hint(&self) -> SizeHint {
        let Some(content) = &self.content else {
            return SizeHint::with_exact(0);
        };
        let buffered = content.buffered.len() as u64;
        let Some(rest) = content.rest.as_ref().map(Body::size_hint) else {
            return SizeHint::with_exact(buffered);
        };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(buffered));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(buffered));
        }
        hint
    }
}

impl<B> fmt::Debug for BufferedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = self.content.as_ref();
        f.debug_struct("BufferedBody")
            .field("buffered_bytes", &content.map_or(0, |it| it.buffered.len()))
            .field("is_whole", &content.is_none_or(|it| it.rest.is_none()))
            .finish_non_exhaustive()
    }
}
