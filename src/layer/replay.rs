use http_body::Body;

use super::buffered::BufferedBody;

mod private {
    /// Storage of a replay policy for each request's copy: an `Option`, or no storage.
    pub trait Keep<T>: Default {
        /// Calls `make` only if there is a place for what it makes.
        fn keep(&mut self, make: impl FnOnce() -> Option<T>);

        fn take(&mut self) -> Option<T>;
    }

    impl<T> Keep<T> for Option<T> {
        #[inline]
        fn keep(&mut self, make: impl FnOnce() -> Self) {
            *self = make();
        }

        fn take(&mut self) -> Self {
            Self::take(self)
        }
    }

    #[derive(Debug, Default)]
    pub struct Nothing;

    impl<T> Keep<T> for Nothing {
        #[inline]
        fn keep(&mut self, _: impl FnOnce() -> Option<T>) {}

        fn take(&mut self) -> Option<T> {
            None
        }
    }
}

pub(super) use private::{Keep, Nothing};

/// Replay policy of a layer: which bodies are copied, so that the request can be sent again after a 401.
///
/// Implemented for [`CloneBody`], [`EmptyBody`], [`NoReplay`] and functions `Fn(&B) -> Option<B>`. Policies of other
/// types can't be written.
#[diagnostic::on_unimplemented(
    message = "requests with the body `{B}` can't be sent again after a 401, because the layer can't copy the body",
    label = "the layer `NotionAuthLayer` replays requests by default",
    note = "opt out: `NotionAuthLayer::refreshing(provider).without_replay()`",
    note = "or make the body one that can be copied: `BufferedBody::read(body, limit).await`",
    note = "or replay requests without a body only: `.replaying(EmptyBody)`"
)]
pub trait ReplayBody<B>: Clone {
    #[doc(hidden)]
    type Kept<T>: Keep<T>;

    /// Returns a copy of the body before it is sent. After `None`, a 401 goes back to the caller, and the next request
    /// has the new token.
    fn copy(&self, body: &B) -> Option<B>;
}

/// Replay policy: each request is sent once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoReplay;

impl<B> ReplayBody<B> for NoReplay {
    type Kept<T> = Nothing;

    fn copy(&self, _: &B) -> Option<B> {
        None
    }
}

/// Replay policy, and the default: clones bodies.
///
/// Such bodies are `Full<Bytes>`, `Empty<Bytes>` and `String`. A [`BufferedBody`] that was read to its end is copied too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CloneBody;

#[diagnostic::do_not_recommend]
impl<B: Clone> ReplayBody<B> for CloneBody {
    type Kept<T> = Option<T>;

    fn copy(&self, body: &B) -> Option<B> {
        Some(body.clone())
    }
}

#[diagnostic::do_not_recommend]
impl<B> ReplayBody<BufferedBody<B>> for CloneBody {
    type Kept<T> = Option<T>;

    fn copy(&self, body: &BufferedBody<B>) -> Option<BufferedBody<B>> {
        body.copy()
    }
}

/// Replay policy for bodies that can't be cloned: copies empty ones, such as those of GET requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EmptyBody;

impl<B: Body + Default> ReplayBody<B> for EmptyBody {
    type Kept<T> = Option<T>;

    fn copy(&self, body: &B) -> Option<B> {
        body.is_end_stream().then(B::default)
    }
}

#[diagnostic::do_not_recommend]
impl<B, F: Fn(&B) -> Option<B> + Clone> ReplayBody<B> for F {
    type Kept<T> = Option<T>;

    fn copy(&self, body: &B) -> Option<B> {
        self(body)
    }
}
