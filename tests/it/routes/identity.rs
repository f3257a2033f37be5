//! Which subject a connection is for.

use http::StatusCode;
use notion_auth::{
    Event, Keyring, NotionOAuthService, NotionUserCredentials, Subject,
    routes::{Connected, FlowProblem, NotionOAuthServiceBuilder},
    testing::MockNotion,
};

use super::site::Site;

fn by_workspace(_: Option<&Subject>, credentials: &NotionUserCredentials) -> Option<Subject> {
    let workspace = credentials.workspace_name.as_deref()?;
    (workspace != "Banned").then(|| Subject::from_parts(["workspace", workspace]))
}

#[tokio::test(start_paused = true)]
async fn application_names_the_subject_by_the_workspace() {
    let site = Site::with(MockNotion::builder(), |builder| {
        builder.name_subject(by_workspace)
    });
    let mut visitor = site.stranger();
    let done = visitor.connect(&site.notion, "Acme").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    let connected = done.head.extensions.get::<Connected>().expect("who");
    assert_eq!(connected.subject.as_str(), "9:workspace,4:Acme,");
    assert!(site.is_connected("9:workspace,4:Acme,").await);
}

#[tokio::test(start_paused = true)]
async fn connection_that_the_application_refuses_is_revoked() {
    let site = Site::with(MockNotion::builder(), |builder| {
        builder.name_subject(by_workspace)
    });
    let mut visitor = site.stranger();
    let refused = visitor.connect(&site.notion, "Banned").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(site.problems(), [FlowProblem::NotAccepted]);
    assert_eq!(site.revoked().len(), 2, "access and refresh token");
}

#[tokio::test(start_paused = true)]
async fn anonymous_flow_is_not_completed_by_a_signed_in_user() {
    let site = Site::with(MockNotion::builder(), |builder| {
        builder.name_subject(by_workspace)
    });
    let mut visitor = site.stranger();
    let page = visitor.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    visitor.subject = Some("ann".into());
    let seen = visitor.get(&callback).await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    assert_eq!(site.exchanges(), 0);
}

#[tokio::test(start_paused = true)]
async fn another_workspace_is_reported_and_accepted_unless_the_application_refuses_it() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "Acme").await;
    ann.connect(&site.notion, "Beta").await;
    let changes = |site: &Site| -> Vec<bool> {
        let events = site.events.lock().unwrap();
        let changes = events.iter().filter_map(|event| match event {
            Event::IdentityChanged { is_refused, .. } => Some(*is_refused),
            _ => None,
        });
        changes.collect()
    };
    assert_eq!(changes(&site), [false]);
    assert_eq!(
        ann.json("/notion/status").await["workspace"]["name"],
        "Beta"
    );

    let strict = site.replica(NotionOAuthServiceBuilder::refuse_another_identity);
    ann.routes = strict.routes.clone();
    let refused = ann.connect(&site.notion, "Gamma").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(changes(&strict), [true]);
    assert_eq!(
        ann.json("/notion/status").await["workspace"]["name"],
        "Beta"
    );
    let same = ann.connect(&site.notion, "Beta").await;
    assert_eq!(same.status, StatusCode::SEE_OTHER);
}

#[tokio::test(start_paused = true)]
async fn same_bot_under_a_second_subject_is_reported() {
    let site = Site::new();
    site.browser("ann").connect(&site.notion, "Acme").await;
    site.browser("ben").connect(&site.notion, "Acme").await;
    let events = site.events.lock().unwrap().clone();
    let shared = Event::BotShared {
        subject: "ben".into(),
        other: "ann".into(),
    };
    assert!(events.contains(&shared), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn connection_of_another_oauth_client_is_noticed_before_the_flow() {
    let site = Site::new();
    site.browser("ann").connect(&site.notion, "Acme").await;
    let other = MockNotion::builder().client_id("another-app").in_process();
    let provider = super::site::provider(&other)
        .store(site.store.clone())
        .clock(site.clock.clone())
        .build()
        .expect("a provider");
    let routes = NotionOAuthService::builder(provider)
        .keys(Keyring::random())
        .build()
        .expect("routes");
    for (subject, status) in [
        ("ann", StatusCode::INTERNAL_SERVER_ERROR),
        ("ben", StatusCode::SEE_OTHER),
    ] {
        let mut browser = site.browser(subject);
        browser.routes = routes.clone();
        let seen = browser.get("/notion/authorize").await;
        assert_eq!(seen.status, status, "{subject}");
        assert_eq!(seen.set_cookies().is_empty(), subject == "ann");
    }
}
