//! Parents of spans.

use std::sync::{Arc, Mutex};

use tracing::{
    Subscriber,
    span::{Attributes, Id},
};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry::LookupSpan,
};

use crate::support::{World, status, subscribe};

/// Spans as `name in parent`, and `name after predecessor`.
#[derive(Clone, Default)]
struct Placed(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Placed {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let parent = span.parent().map_or("nothing", |parent| parent.name());
        let name = attributes.metadata().name();
        self.0.lock().unwrap().push(format!("{name} in {parent}"));
    }

    fn on_follows_from(&self, id: &Id, before: &Id, context: Context<'_, S>) {
        let name = |id| context.span(id).unwrap().name();
        let follows = format!("{} after {}", name(id), name(before));
        self.0.lock().unwrap().push(follows);
    }
}

#[tokio::test(start_paused = true)]
async fn hit_has_no_span_and_refresh_follows_from_its_request() {
    let placed = Placed::default();
    let subscriber = tracing_subscriber::registry().with(placed.clone());
    let _guard = subscribe(subscriber);
    let world = World::new();
    let credentials = world.connect("ann").await;
    let token = credentials.access_token.expose();

    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert_eq!(*placed.0.lock().unwrap(), [""; 0]);

    world.notion.revoke_access_token(token);
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert_eq!(
        *placed.0.lock().unwrap(),
        [
            "notion_auth.acquire in nothing",
            "notion_auth.refresh in nothing",
            "notion_auth.refresh after notion_auth.acquire",
        ]
    );
}
