//! Whose credentials a request gets.

use http::Request;
use notion_auth::{
    AuthError, BoxError, CredentialUsed, ExplicitCredentials, NotionAppCredentials,
    NotionAuthLayer, NotionAuthProvider, Subject, UseIntegrationToken,
    provider::NotionAuthProviderBuilder,
    testing::{MockNotion, fixed_token},
};
use tower::{Layer, ServiceExt};

use crate::support::{Body, auth_error, get};

/// An app with an OAuth client and an integration token, and one connected subject.
async fn provider(
    notion: &MockNotion,
    set: impl FnOnce(NotionAuthProviderBuilder) -> NotionAuthProviderBuilder,
) -> NotionAuthProvider {
    let app = NotionAppCredentials::builder()
        .token_url(notion.token_url())
        .client_id(notion.client_id())
        .client_secret(notion.client_secret())
        .token(notion.grant_for("integration").access_token())
        .build()
        .unwrap();
    let builder = notion.provider_builder().unwrap().app(app);
    let provider = set(builder).build().unwrap();
    provider
        .store_credentials(&"ann".into(), notion.connect())
        .await
        .unwrap();
    provider
}

async fn used(
    provider: &NotionAuthProvider,
    notion: &MockNotion,
    request: Request<Body>,
) -> Result<CredentialUsed, BoxError> {
    let layer = NotionAuthLayer::refreshing(provider.clone())
        .without_replay()
        .reporting_credentials();
    let response = layer.layer(notion.service()).oneshot(request).await?;
    assert_eq!(response.status(), 200);
    Ok(*response.extensions().get().expect("a report"))
}

fn request(notion: &MockNotion) -> Request<Body> {
    get(&format!("{}/v1/users/me", notion.base_url()))
}

fn of<T: Clone + Send + Sync + 'static>(mut request: Request<Body>, identity: T) -> Request<Body> {
    request.extensions_mut().insert(identity);
    request
}

#[tokio::test]
async fn explicit_comes_before_stored_and_stored_before_the_integration_token() {
    let notion = MockNotion::in_process();
    let provider = provider(&notion, |builder| builder).await;
    let own = notion.connect();
    let explicit = ExplicitCredentials::new(&own.access_token).unwrap();
    let ann = of(request(&notion), Subject::new("ann"));

    let stored = CredentialUsed::Stored { generation: 1 };
    assert_eq!(used(&provider, &notion, ann.clone()).await.unwrap(), stored);
    let both = of(ann.clone(), UseIntegrationToken::new());
    assert_eq!(used(&provider, &notion, both).await.unwrap(), stored);
    let all = of(of(ann, UseIntegrationToken::new()), explicit);
    assert_eq!(
        used(&provider, &notion, all).await.unwrap(),
        CredentialUsed::Explicit
    );
    let calls = notion.ledger().api_calls_with(own.access_token.expose());
    assert_eq!(calls.len(), 1);
}

#[tokio::test]
async fn a_lost_subject_does_not_switch_to_the_integration_token_silently() {
    let notion = MockNotion::in_process();
    let provider = provider(&notion, |builder| builder).await;
    for lost in [
        request(&notion),
        of(request(&notion), Subject::new("nobody")),
    ] {
        let error = used(&provider, &notion, lost).await.unwrap_err();
        let error = auth_error(&error);
        assert!(error.is_not_connected(), "{error}");
        assert_eq!(error.to_response().status(), 401);
    }
    assert!(notion.ledger().api_calls().is_empty());
}

#[tokio::test]
async fn it_is_used_when_the_request_or_the_builder_says_so() {
    let notion = MockNotion::in_process();
    let integration = CredentialUsed::IntegrationToken;
    let strict = provider(&notion, |builder| builder).await;
    let asking = of(request(&notion), UseIntegrationToken::new());
    assert_eq!(used(&strict, &notion, asking).await.unwrap(), integration);
    let nobody = of(request(&notion), Subject::new("nobody"));
    let asking = of(nobody.clone(), UseIntegrationToken::new());
    assert_eq!(used(&strict, &notion, asking).await.unwrap(), integration);

    let lenient = provider(
        &notion,
        NotionAuthProviderBuilder::fall_back_to_integration_token,
    );
    let lenient = lenient.await;
    for lost in [request(&notion), nobody] {
        assert_eq!(used(&lenient, &notion, lost).await.unwrap(), integration);
    }
    let ann = of(request(&notion), Subject::new("ann"));
    assert_eq!(
        used(&lenient, &notion, ann).await.unwrap(),
        CredentialUsed::Stored { generation: 1 }
    );
}

#[tokio::test]
async fn an_app_without_an_oauth_client_uses_its_token_for_everybody() {
    let notion = MockNotion::in_process();
    let app = NotionAppCredentials::builder().token(notion.grant().access_token());
    let provider = notion.provider_builder().unwrap().app(app.build().unwrap());
    let provider = provider.build().unwrap();
    for request in [request(&notion), of(request(&notion), Subject::new("ann"))] {
        assert_eq!(
            used(&provider, &notion, request).await.unwrap(),
            CredentialUsed::IntegrationToken
        );
    }
}

#[tokio::test]
async fn an_app_without_an_oauth_client_gives_its_token_to_hosts_with_another_client_too() {
    let provider = fixed_token("ntn_test", "http://127.0.0.1:8080").unwrap();
    let anybody = Subject::new("anybody");
    let acquired = provider.acquire(&anybody).await.unwrap();
    assert_eq!(acquired.expose_token(), "ntn_test");
    // There is nothing better: the 401 is to be passed on.
    let again = provider.refused(&anybody, &acquired).await.unwrap();
    assert_eq!(again.generation(), acquired.generation());
    assert_eq!(again.expose_token(), "ntn_test");
}

#[tokio::test]
async fn asking_for_an_integration_token_that_is_not_there_says_so() {
    let notion = MockNotion::in_process();
    let provider = notion.provider_builder().unwrap().build().unwrap();
    let asking = of(request(&notion), UseIntegrationToken::new());
    let error = used(&provider, &notion, asking).await.unwrap_err();
    let error = auth_error(&error);
    assert!(error.is_configuration());
    assert!(error.to_string().contains("NOTION_TOKEN"), "{error}");
}

#[tokio::test]
async fn refused_explicit_credentials_and_integration_tokens_pass_through() {
    let notion = MockNotion::in_process();
    let provider = provider(&notion, |builder| builder).await;
    let own = notion.connect();
    notion.revoke_access_token(own.access_token.expose());
    let explicit = ExplicitCredentials::new(&own.access_token).unwrap();
    let integration = notion.grant_for("integration");
    notion.revoke_grant(integration.refresh_token().unwrap());
    let client = NotionAuthLayer::refreshing(provider).layer(notion.service());
    for identified in [
        of(request(&notion), explicit),
        of(request(&notion), UseIntegrationToken::new()),
    ] {
        let response = client.clone().oneshot(identified).await.unwrap();
        assert_eq!(response.status(), 401);
    }
    assert!(notion.ledger().refreshes().is_empty());
    assert_eq!(notion.ledger().api_calls().len(), 2);
}

#[tokio::test]
async fn a_session_is_its_own_whatever_the_request_carried() {
    let notion = MockNotion::in_process();
    let provider = provider(&notion, |builder| builder).await;
    let ben = notion.connect();
    let stored = provider
        .load_credentials(&"ann".into())
        .await
        .unwrap()
        .unwrap();
    let foreign = ExplicitCredentials::new(&ben.access_token).unwrap();

    let ann = provider.session("ann").wrap(notion.service());
    let request_of_another = of(of(request(&notion), foreign), UseIntegrationToken::new());
    ann.oneshot(request_of_another).await.unwrap();
    let as_ann = notion.ledger().api_calls_with(stored.access_token.expose());
    assert_eq!(as_ann.len(), 1);

    let session = provider.with_credentials(&ben).unwrap();
    let request_of_ann = of(request(&notion), Subject::new("ann"));
    session
        .wrap(notion.service())
        .oneshot(request_of_ann)
        .await
        .unwrap();
    let as_ben = notion.ledger().api_calls_with(ben.access_token.expose());
    assert_eq!(as_ben.len(), 1);
}

#[tokio::test]
async fn no_subject_gets_anothers_token() {
    let notion = MockNotion::in_process();
    let builder = notion.provider_builder().unwrap();
    // Fewer places than subjects: entries come and go.
    let provider = builder.cache_capacity(8).build().unwrap();
    let mut tokens = Vec::new();
    for number in 0..200 {
        let credentials = notion.connect();
        tokens.push(credentials.access_token.expose().to_owned());
        let subject = Subject::new(number.to_string());
        let stored = provider.store_credentials(&subject, credentials);
        stored.await.unwrap();
    }
    for round in 0..3 {
        for (number, token) in tokens.iter().enumerate() {
            let subject = Subject::new(number.to_string());
            let acquired = provider.acquire(&subject).await.unwrap();
            assert_eq!(acquired.expose_token(), token, "round {round}");
        }
    }
}

#[test]
fn a_subject_is_its_text_and_parts_do_not_run_together() {
    assert_eq!(Subject::new("a"), Subject::from("a".to_owned()));
    assert_ne!(Subject::new("a"), Subject::new("A"));
    let lists: [&[&str]; 8] = [
        &[],
        &[""],
        &["", ""],
        &["a", "b"],
        &["a,b"],
        &["1:a,"],
        &["a", "", "b"],
        &["ab"],
    ];
    for (at, left) in lists.iter().enumerate() {
        for right in &lists[at + 1..] {
            let encode = |list: &[&str]| Subject::from_parts(list.iter().copied());
            assert_ne!(encode(left), encode(right), "{left:?} {right:?}");
        }
    }
    assert!(!format!("{:?}", Subject::new("ann@example.org")).contains("ann"));
}

#[test]
fn what_a_provider_needs_is_named() {
    let error: AuthError = NotionAuthProvider::builder().build().unwrap_err();
    assert!(error.is_configuration());
    assert!(error.to_string().contains("app credentials"), "{error}");
}
