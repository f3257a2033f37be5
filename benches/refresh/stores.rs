//! The stores that credentials are acquired from.

use notion_auth::{MemoryStore, provider::NotionAuthProviderBuilder};

/// A store that any number of providers can be given.
pub(crate) struct Store {
    pub(crate) name: &'static str,
    attach: Box<dyn Fn(NotionAuthProviderBuilder) -> NotionAuthProviderBuilder>,
}

impl Store {
    pub(crate) fn attach(&self, builder: NotionAuthProviderBuilder) -> NotionAuthProviderBuilder {
        (self.attach)(builder)
    }
}

/// All that there are.
pub(crate) fn stores() -> Vec<Store> {
    vec![memory()]
}

fn memory() -> Store {
    let store = MemoryStore::new();
    Store {
        name: "MemoryStore",
        attach: Box::new(move |builder| builder.store(store.clone())),
    }
}
