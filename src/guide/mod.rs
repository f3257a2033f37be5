//! Guides, one for each kind of task.
//!
//! - [`subject`]: what a subject is, and which to choose
//! - [`script`]: a program with one integration token
//! - [`backend`]: customers connect their workspaces; axum and PostgreSQL or SQLite
//! - [`operations`]: deployment, keys, backups and upgrades
//! - [`gateway`]: services that hold no tokens
//! - [`own_store`]: credentials in a store of your own
//! - [`tests`](mod@tests): your tests against `MockNotion`
//! - [`from_python`]: coming from the model in Python
//! - [`trouble`]: what can go wrong, and what you will see
//!
//! For an SDK that takes a token, see [`NotionAuthProvider::clients`](crate::NotionAuthProvider::clients).

// The pages are also read as files, where links to items have no target. So they name items without a link, and the links
// are here. Where a page defines a link to another file, the first definition is used, which is the one here.

/// [operations]: crate::guide::operations
/// [subject]: crate::guide::subject
#[doc = include_str!("backend.md")]
///
/// Items on this page: [`NotionAuthProvider`](crate::NotionAuthProvider), [`SqliteStore`](crate::SqliteStore),
/// [`Connection`](crate::Connection), [`AuthError::is_not_connected`](crate::AuthError::is_not_connected),
/// [`AuthError::needs_reauthorization`](crate::AuthError::needs_reauthorization),
/// [`NotionOAuthServiceBuilder::renderer`](crate::routes::NotionOAuthServiceBuilder::renderer).
pub mod backend {}

#[doc = include_str!("from_python.md")]
///
/// Items on this page: [`NotionAppCredentials`](crate::NotionAppCredentials),
/// [`NotionUserCredentials`](crate::NotionUserCredentials), [`Subject`](crate::Subject),
/// [`NotionAuthProvider::session`](crate::NotionAuthProvider::session),
/// [`NotionAuthProvider::store_credentials`](crate::NotionAuthProvider::store_credentials).
pub mod from_python {}

#[doc = include_str!("gateway.md")]
pub mod gateway {}

/// [observe]: crate::observe
#[doc = include_str!("operations.md")]
///
/// Items on this page: [`NotionAuthProviderBuilder`](crate::provider::NotionAuthProviderBuilder),
/// [`NotionAuthProvider`](crate::NotionAuthProvider),
/// [`PostgresStore::schema_sql`](crate::PostgresStore::schema_sql),
/// [`SqliteStore::close`](crate::SqliteStore::close),
/// [`RefreshPolicy::revalidation_age`](crate::provider::RefreshPolicy::revalidation_age).
pub mod operations {}

#[doc = include_str!("own_store.md")]
///
/// Items on this page: [`CredentialStore`](crate::store::CredentialStore), [`Loaded`](crate::store::Loaded),
/// [`StoreError`](crate::store::StoreError), [`store_conformance`](crate::testing::store_conformance).
pub mod own_store {}

/// [subject]: crate::guide::subject
#[doc = include_str!("script.md")]
///
/// Items on this page: [`NotionAuthLayer::from_env`](crate::NotionAuthLayer::from_env),
/// [`DEFAULT_VERSION`](crate::NotionAppCredentials::DEFAULT_VERSION), [`RetryRateLimited`](crate::RetryRateLimited),
/// [`integrations::reqwest`](crate::integrations::reqwest),
/// [`NotionAuthProvider::clients`](crate::NotionAuthProvider::clients).
pub mod script {}

/// [script]: crate::guide::script
#[doc = include_str!("subject.md")]
///
/// Items on this page: [`Subject`](crate::Subject), [`ListQuery`](crate::store::ListQuery),
/// [`NotionAuthProvider::check`](crate::NotionAuthProvider::check),
/// [`NotionOAuthServiceBuilder::name_subject`](crate::routes::NotionOAuthServiceBuilder::name_subject),
/// [`namespace`](crate::provider::NotionAuthProviderBuilder::namespace).
pub mod subject {}

#[doc = include_str!("tests.md")]
///
/// Items on this page: [`MockNotion`](crate::testing::MockNotion), [`TestClock`](crate::testing::TestClock),
/// [`fixed_token`](crate::testing::fixed_token).
pub mod tests {}

/// [observe]: crate::observe
#[doc = include_str!("trouble.md")]
///
/// Items on this page: [`AuthError`](crate::AuthError), [`Event`](crate::Event), [`HttpsError`](crate::HttpsError),
/// [`BufferedBody`](crate::layer::BufferedBody), [`FlowProblem`](crate::routes::FlowProblem),
/// [`NotionAuthProvider`](crate::NotionAuthProvider).
pub mod trouble {}
