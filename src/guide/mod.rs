//! Guides, one for each kind of task.
//!
//! - [`subject`]: what a subject is, and which to choose
//! - [`script`]: a program with one integration token
//! - [`backend`]: customers connect their workspaces; axum and PostgreSQL
//! - [`operations`]: deployment, keys, backups and upgrades
//! - [`gateway`]: services that hold no tokens
//! - [`own_store`]: credentials in a store of your own
//! - [`tests`](mod@tests): your tests against `MockNotion`
//! - [`from_python`]: coming from the model in Python
//! - [`trouble`]: what can go wrong, and what you will see
//!
//! For an SDK that takes a token, see [`NotionAuthProvider::clients`](crate::NotionAuthProvider::clients).

#[doc = include_str!("backend.md")]
pub mod backend {}
#[doc = include_str!("from_python.md")]
pub mod from_python {}
#[doc = include_str!("gateway.md")]
pub mod gateway {}
#[doc = include_str!("operations.md")]
pub mod operations {}
#[doc = include_str!("own_store.md")]
pub mod own_store {}
#[doc = include_str!("script.md")]
pub mod script {}
#[doc = include_str!("subject.md")]
pub mod subject {}
#[doc = include_str!("tests.md")]
pub mod tests {}
#[doc = include_str!("trouble.md")]
pub mod trouble {}
