use http_body::Body;

/// How a layer copies a request's body, so that the request can be sent once more when the API
/// refused its token.
///
/// A function will do: `|body: &MyBody| -> Option<MyBody>`.
pub trait ReplayBody<B>: Clone {
    /// Whether [`copy`](Self::copy) never answers: then nothing else of a request is copied either.
    const NEVER: bool = false;

    /// A copy of the body before it is sent; `None` if it has none. Then a 401 goes back to the
    /// caller, and the next request has the new token.
    fn copy(&self, body: &B) -> Option<B>;
}

/// No request is sent twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoReplay;

impl<B> ReplayBody<B> for NoReplay {
    const NEVER: bool = true;

    fn copy(&self, _: &B) -> Option<B> {
        None
    }
}

/// Bodies are cloned, as `Full<Bytes>`, `Empty`, `String` can be at little cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CloneBody;

impl<B: Clone> ReplayBody<B> for CloneBody {
    fn copy(&self, body: &B) -> Option<B> {
        Some(body.clone())
    }
}

/// Requests with an empty body are sent again, such as GET requests whose body type is a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EmptyBody;

impl<B: Body + Default> ReplayBody<B> for EmptyBody {
    fn copy(&self, body: &B) -> Option<B> {
        body.is_end_stream().then(B::default)
    }
}

impl<B, F: Fn(&B) -> Option<B> + Clone> ReplayBody<B> for F {
    fn copy(&self, body: &B) -> Option<B> {
        self(body)
    }
}
