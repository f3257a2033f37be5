//! Refreshes: their triggers, their number, and what their outcomes do to the credentials.

mod concurrency;
mod disconnects;
mod expiry;
mod failures;
mod lifecycle;
mod no_refresh_token;
mod unauthorized;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use notion_auth::{
    AuthError, Event, NotionUserCredentials,
    provider::Acquired,
    testing::notion::{MockNotion, MockNotionBuilder},
};
use tokio::task::JoinHandle;

use crate::support::{World, send};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A provider with default settings, and a mock server with these options.
fn world(options: impl FnOnce(MockNotionBuilder) -> MockNotionBuilder) -> World {
    World::with(options(MockNotion::builder()).in_process(), |builder| {
        builder
    })
}

/// A provider whose events are recorded.
fn observed_world() -> (World, Events) {
    let events = Events::default();
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.observer(events.observer())
    });
    (world, events)
}

/// Connects the subject, and revokes the access token at the mock server.
async fn connect_revoked(world: &World, subject: &str) -> NotionUserCredentials {
    let credentials = world.connect(subject).await;
    let token = credentials.access_token.expose();
    world.notion.revoke_access_token(token);
    credentials
}

/// The error of a request for ann.
async fn request_error(world: &World) -> AuthError {
    let error = send(world.client(), world.get("ann")).await.unwrap_err();
    *error.downcast().expect("an AuthError")
}

/// Starts an explicit refresh of ann's credentials.
fn spawn_refresh(world: &World) -> JoinHandle<Result<Acquired, AuthError>> {
    let provider = world.provider.clone();
    tokio::spawn(async move { provider.refresh(&"ann".into()).await })
}

/// Records the events of a provider.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Event>>>);

impl Events {
    fn observer(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let events = self.clone();
        move |event| events.0.lock().unwrap().push(event.clone())
    }

    fn count(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|it| which(it)).count()
    }
}
