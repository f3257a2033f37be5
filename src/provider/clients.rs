//! Clients of other crates that are built around one fixed token.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Acquired, NotionAuthProvider, Unauthorized};
use crate::{
    error::{AuthError, BoxError},
    subject::Subject,
};

/// Clients of a Notion SDK that takes a token when it is built: one for each subject and access token.
///
/// No layer fits into such an SDK, because it builds its HTTP client itself. Made by [`NotionAuthProvider::clients`].
///
/// Clones share their clients.
pub struct Clients<T> {
    shared: Arc<Shared<T>>,
}

type Make<T> = Box<dyn Fn(&str) -> Result<T, BoxError> + Send + Sync>;

struct Shared<T> {
    provider: NotionAuthProvider,
    make: Make<T>,
    kept: Mutex<Kept<T>>,
}

struct Kept<T> {
    clients: HashMap<Subject, Client<T>>,
    capacity: usize,
    /// Number of uses so far.
    uses: u64,
}

struct Client<T> {
    client: Arc<T>,
    acquired: Acquired,
    last_use: u64,
}

/// Error of [`Clients::run`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The subject has no credentials that can be used.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The function that makes clients failed.
    #[error("no client could be made for the subject's token")]
    Client(#[source] BoxError),
    /// The call's own error.
    #[error(transparent)]
    Call(E),
}

impl NotionAuthProvider {
    /// Returns a cache of clients of an SDK that takes a fixed token. `make` builds a client from an access token.
    ///
    /// At most 1,000 clients are kept. For more subjects, the least recently used client is dropped and made again on
    /// demand.
    ///
    /// ```
    /// # use notion_auth::{BoxError, Subject, testing::MockNotion};
    /// # struct Sdk(String);
    /// # #[derive(Debug)] struct SdkError { status: u16 }
    /// # impl std::fmt::Display for SdkError {
    /// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.status.fmt(f) }
    /// # }
    /// # impl std::error::Error for SdkError {}
    /// # impl Sdk {
    /// #     fn new(token: &str) -> Self { Self(token.to_owned()) }
    /// #     async fn me(&self) -> Result<String, SdkError> { Ok(self.0.clone()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// # let notion = MockNotion::start().await?;
    /// # let provider = notion.provider_builder()?.build()?;
    /// # let ann = Subject::new("ann");
    /// # provider.store_credentials(&ann, notion.connect()).await?;
    /// let clients = provider.clients(|token| Ok(Sdk::new(token)));
    /// let me = clients
    ///     .run(&ann, async |sdk| sdk.me().await, |error| error.status == 401)
    ///     .await?;
    /// # drop(me);
    /// # Ok(()) }
    /// ```
    pub fn clients<T>(
        &self,
        make: impl Fn(&str) -> Result<T, BoxError> + Send + Sync + 'static,
    ) -> Clients<T> {
        Clients {
            shared: Arc::new(Shared {
                provider: self.clone(),
                make: Box::new(make),
                kept: Mutex::new(Kept {
                    clients: HashMap::new(),
                    capacity: 1_000,
                    uses: 0,
                }),
            }),
        }
    }
}

impl<T> Clients<T> {
    /// Calls Notion with a client for the subject's token. If Notion refuses the token, the call is repeated once with a
    /// client for a new token.
    ///
    /// `is_unauthorized` returns whether the SDK's error is Notion's 401.
    ///
    /// # Errors
    /// Those of a request through a refreshing layer, of the function that makes clients, and of the call.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call. A refresh that it started continues.
    pub async fn run<R, E>(
        &self,
        subject: &Subject,
        call: impl AsyncFn(&T) -> Result<R, E>,
        is_unauthorized: impl Fn(&E) -> bool,
    ) -> Result<R, CallError<E>> {
        let provider = &self.shared.provider;
        let acquired = provider.acquire(subject).await?;
        let client = self.client(subject, &acquired).map_err(CallError::Client)?;
        let error = match call(&client).await {
            Err(error) if is_unauthorized(&error) => error,
            outcome => return outcome.map_err(CallError::Call),
        };
        // The SDK does not show whether the answer had Notion's request id.
        let renewed = provider.renewed(subject, &acquired, Unauthorized::Json);
        let newer = match renewed.await {
            Ok(newer) if !newer.is_same(&acquired) => newer,
            Ok(_) => return Err(CallError::Call(error)),
            Err(problem) if problem.is_end_of_access_token() => {
                return Err(CallError::Call(error));
            }
            Err(problem) => return Err(problem.into()),
        };
        let client = self.client(subject, &newer).map_err(CallError::Client)?;
        call(&client).await.map_err(CallError::Call)
    }

    /// Returns the kept client for this token, or makes one.
    fn client(&self, subject: &Subject, acquired: &Acquired) -> Result<Arc<T>, BoxError> {
        if let Some(client) = self.kept(|kept| kept.find(subject, acquired)) {
            return Ok(client);
        }
        let client = Arc::new((self.shared.make)(acquired.expose())?);
        self.kept(|kept| kept.insert(subject, acquired, &client));
        Ok(client)
    }

    fn kept<R>(&self, operation: impl FnOnce(&mut Kept<T>) -> R) -> R {
        let kept = self.shared.kept.lock();
        operation(&mut kept.unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Kept<T> {
    fn find(&mut self, subject: &Subject, acquired: &Acquired) -> Option<Arc<T>> {
        self.uses += 1;
        let kept = self.clients.get_mut(subject)?;
        kept.last_use = self.uses;
        let is_current = kept.acquired.is_same(acquired);
        is_current.then(|| Arc::clone(&kept.client))
    }

    fn insert(&mut self, subject: &Subject, acquired: &Acquired, client: &Arc<T>) {
        let client = Client {
            client: Arc::clone(client),
            acquired: acquired.clone(),
            last_use: self.uses,
        };
        self.clients.insert(subject.clone(), client);
        if self.clients.len() > self.capacity {
            let oldest = self.clients.iter().min_by_key(|(_, it)| it.last_use);
            if let Some(oldest) = oldest.map(|(subject, _)| subject.clone()) {
                self.clients.remove(&oldest);
            }
        }
    }
}

impl<T> Clone for Clients<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> fmt::Debug for Clients<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.kept(|kept| kept.clients.len());
        f.debug_struct("Clients").field("kept", &kept).finish()
    }
}
