//! Canaries are planted in every place that holds a secret, and looked for in every place that
//! people read.

use std::{
    error::Error as StdError,
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
};

use notion_auth::{
    BoxError, Event, ExplicitCredentials, NotionAppCredentials, NotionAuthLayer,
    NotionUserCredentials, Session, Subject,
    credentials::RefreshToken,
    oauth::CallbackAnswer,
    store::{CredentialStore, RecordKey},
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};
use tower::{Layer, ServiceExt};
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

use crate::support::{World, subscribe};

/// What people read, collected.
#[derive(Clone, Default)]
pub(crate) struct Readable(Arc<Mutex<Vec<u8>>>);

impl Readable {
    /// Collects what this thread logs, for as long as the guard lives.
    pub(crate) fn collect_logs(&self) -> tracing::subscriber::DefaultGuard {
        // Also what goes to the crate `log`. Another test may have begun with that.
        let _ = tracing_log::LogTracer::init();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        subscribe(subscriber)
    }

    pub(crate) fn debug(&self, value: &dyn Debug) {
        self.write(format!("{value:?}\n{value:#?}\n").as_bytes());
    }

    pub(crate) fn error(&self, error: &(dyn StdError + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.write(format!("{error}\n{error:?}\n{error:#?}\n").as_bytes());
            next = error.source();
        }
    }

    pub(crate) fn write(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(bytes);
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    #[track_caller]
    pub(crate) fn assert_says(&self, text: &str) {
        let all = self.text();
        assert!(all.contains(text), "{text} was not collected");
    }

    #[track_caller]
    pub(crate) fn assert_free_of(&self, secrets: &[(&str, &str)]) {
        let text = self.text();
        assert!(text.len() > 1000, "hardly anything was collected");
        for (name, secret) in secrets {
            assert!(secret.len() > 5, "{name} is no canary");
            if let Some(at) = text.find(secret) {
                let start = at.saturating_sub(80);
                panic!("{name} is readable: …{}…", &text[start..at + secret.len()]);
            }
        }
    }
}

impl io::Write for Readable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write(self, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Readable {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn no_log_no_error_no_debug_and_no_response_shows_a_secret() {
    let readable = Readable::default();
    let _guard = readable.collect_logs();
    #[cfg(feature = "metrics")]
    let recorder = crate::observe::recorder::TestRecorder::default();
    #[cfg(feature = "metrics")]
    let _metrics = metrics::set_default_local_recorder(&recorder);

    let notion = MockNotion::builder()
        .client_secret("secret_canary_of_the_client")
        .in_process();
    let sink = readable.clone();
    let world = World::with(notion, |builder| {
        builder.observer(move |event: &Event| sink.debug(event))
    });
    let flow = world.provider.oauth();
    let subject = Subject::new("ann-canary@example.org");
    let authorization = flow.authorize(&subject).unwrap();
    let state = authorization.pending.expose_state().to_owned();
    // The authorization URL, which has the state in it, included.
    readable.debug(&authorization);
    readable.debug(&authorization.pending);
    let callback = world.notion.consent(authorization.url.as_str()).unwrap();
    let code = callback
        .split(['?', '&'])
        .find_map(|pair| pair.strip_prefix("code="))
        .unwrap()
        .to_owned();
    let answer = CallbackAnswer::from_url(&callback).unwrap();
    readable.debug(&answer);
    let credentials = flow
        .exchange(authorization.pending, &subject, answer)
        .await
        .unwrap();
    world
        .provider
        .store_credentials(&subject, credentials.clone())
        .await
        .unwrap();
    // The code a second time, and another state.
    let error = flow.exchange_code(&code).await.unwrap_err();
    readable.error(&error);
    let again = flow.authorize(&subject).unwrap();
    let answer = CallbackAnswer::from_query("code=canary-code&state=canary-state").unwrap();
    let error = flow.exchange(again.pending, &subject, answer).await;
    readable.error(&error.unwrap_err());

    // Everything that holds a secret, printed.
    let key = RecordKey::new("notion", subject.clone());
    let record = world.store.load(&key).await.unwrap().record.unwrap();
    let acquired = world.provider.acquire(&subject).await.unwrap();
    let explicit = ExplicitCredentials::new(&credentials.access_token).unwrap();
    let session: Session = world.provider.session(subject.clone());
    let app: NotionAppCredentials = world.notion.app_credentials().unwrap();
    let layer = NotionAuthLayer::refreshing(world.provider.clone());
    let values: [&dyn Debug; 12] = [
        &credentials,
        &credentials.access_token,
        &credentials.refresh_token,
        &record,
        &acquired,
        &acquired.authorization(),
        &explicit,
        &session,
        &app,
        &flow,
        &world.provider,
        &layer.layer(world.notion.service()),
    ];
    for value in values {
        readable.debug(value);
    }

    // Every way a refresh can end, with a server that repeats what it was sent.
    let refresh_token = credentials.refresh_token.as_ref().map(RefreshToken::expose);
    let echo = format!(
        "{} {} {}",
        refresh_token.unwrap(),
        credentials.access_token.expose(),
        "secret_canary_of_the_client"
    );
    for fault in [
        Fault::refuse(400, "invalid_request"),
        Fault::refuse(400, echo.clone()),
        Fault::refuse(401, "invalid_client"),
        Fault::RateLimited { retry_after: None },
        Fault::DropBefore,
        Fault::StatusBefore(500),
        Fault::Html,
        Fault::refuse(400, "invalid_grant"),
    ] {
        world.notion.always(Call::Refresh, Some(fault));
        tokio::time::sleep(std::time::Duration::from_secs(400)).await;
        match world.provider.refresh(&subject).await {
            Ok(acquired) => readable.debug(&acquired),
            Err(error) => {
                readable.error(&error);
                readable.debug(&error.to_response());
            }
        }
        let mut request = world.get("nobody");
        request.extensions_mut().insert(subject.clone());
        let answer: Result<_, BoxError> = world.client().oneshot(request).await;
        if let Err(error) = answer {
            readable.error(&*error);
        }
    }
    tokio::time::sleep(std::time::Duration::from_secs(4000)).await;
    for name in [
        "notion_auth.acquire",
        "notion_auth.refresh",
        "outcome=\"rate_limited\"",
    ] {
        readable.assert_says(name);
    }
    #[cfg(feature = "metrics")]
    {
        readable.debug(&recorder);
        readable.assert_says("notion_auth_acquire_duration_seconds");
    }

    let basic = base64(&format!(
        "{}:secret_canary_of_the_client",
        world.notion.client_id()
    ));
    let ledger = world.notion.ledger();
    let mut secrets = vec![
        ("the access token", credentials.access_token.expose()),
        ("the refresh token", refresh_token.unwrap()),
        ("the client secret", "secret_canary_of_the_client"),
        ("the Basic value", &basic),
        ("the code", &code),
        ("the state", &state),
        ("a code", "canary-code"),
        ("a state", "canary-state"),
        ("the subject", "ann-canary"),
    ];
    let presentations = ledger.presentations();
    secrets.extend(
        presentations
            .iter()
            .map(|it| ("a token", it.token.as_str())),
    );
    readable.assert_free_of(&secrets);
}

#[test]
fn tokens_are_written_only_by_the_wrapper_that_says_so() {
    let json = r#"{"access_token":"ntn_canary","refresh_token":"nrt_canary"}"#;
    let credentials: NotionUserCredentials = serde_json::from_str(json).unwrap();
    let written = serde_json::to_string(&credentials.expose_tokens()).unwrap();
    assert!(written.contains("ntn_canary") && written.contains("nrt_canary"));
    assert!(!format!("{:?}", credentials.expose_tokens()).contains("canary"));
}

fn base64(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}
