//! SDKs for Notion that are built around one fixed token, with the tokens of `notion-auth`.
//!
//! [`notion_auth::provider::Clients`] keeps one SDK client for each subject and token. A call that Notion answers with 401
//! is repeated once with a client for a new token.

use notion_auth::{BoxError, NotionAuthProvider, Subject};
use notion_client::{NotionClientError, endpoints::Client};

/// Returns the bot user of the subject's connection, by `notionrs`.
///
/// # Errors
/// If the subject has no usable credentials, or the call fails.
pub async fn bot_by_notionrs(
    provider: &NotionAuthProvider,
    subject: &Subject,
) -> Result<notionrs_types::object::user::User, BoxError> {
    let clients = provider.clients(|token| Ok(notionrs::Client::new(token)));
    let call = clients.run(
        subject,
        async |notion| notion.get_self().send().await,
        |error| matches!(error, notionrs::Error::Http { status: 401, .. }),
    );
    Ok(call.await?)
}

/// Returns the bot user of the subject's connection, by `notion-client` with these settings of its HTTP client.
///
/// # Errors
/// If the subject has no usable credentials, or the call fails.
pub async fn bot_by_notion_client(
    provider: &NotionAuthProvider,
    subject: &Subject,
    http: impl Fn() -> reqwest::ClientBuilder + Send + Sync + 'static,
) -> Result<notion_client::objects::user::User, BoxError> {
    let clients = provider.clients(move |token| Ok(Client::new(token.to_owned(), Some(http()))?));
    let call = clients.run(
        subject,
        async |notion| notion.users.retrieve_your_tokens_bot_user().await,
        |error| matches!(error, NotionClientError::InvalidStatusCode { error } if error.status == 401),
    );
    Ok(call.await?)
}
