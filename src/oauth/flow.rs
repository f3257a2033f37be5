use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use url::Url;

use super::{
    callback::CallbackAnswer,
    error::{Endpoint, OAuthError},
    pending::PendingFlow,
    request::{Client, Parameters, request, sibling},
    response::{NO_OBJECT, Success},
    token_answer::TokenAnswer,
    transport::{ReadDeadline, SendGate, Transport},
};
use crate::{
    clock::Clock,
    credentials::{AccessToken, NotionAppCredentials, NotionUserCredentials, RefreshToken},
    subject::Subject,
};

/// Client for Notion's OAuth endpoints, for one app.
///
/// [`NotionAuthProvider::oauth`](crate::NotionAuthProvider::oauth) returns one. Cloning is cheap.
///
/// An answer must begin within [`RefreshTimings::call`](crate::provider::RefreshTimings) (10 seconds). The answer to an
/// exchange or a refresh is then read for up to six times as long (60 seconds). Any other answer must be complete within
/// `call`. If a call's future is dropped, the server may or may not have handled the request.
#[derive(Clone)]
pub struct OAuthFlow {
    shared: Arc<Shared>,
}

struct Shared {
    app: NotionAppCredentials,
    endpoints: Endpoints,
    transport: Option<Transport>,
    clock: Arc<dyn Clock>,
    deadline: Duration,
}

/// How long an answer of the token endpoint is read after its first byte, in units of the deadline of a call. A code or
/// a refresh token can be used once, and the answer is the only copy of the new tokens.
const READING: u32 = 6;

/// URLs of the other endpoints. Unless set, they are siblings of the token URL.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    pub(crate) revoke: Option<Url>,
    pub(crate) introspect: Option<Url>,
}

/// The start of a connection: the URL to send the user to, and the flow to keep until the callback.
#[derive(Clone)]
#[non_exhaustive]
pub struct AuthorizationRequest {
    /// Where to redirect the user's browser. It contains the flow's `state`, so keep it out of logs.
    pub url: Url,
    /// The flow to keep in the user's session and pass to [`exchange`](OAuthFlow::exchange) at the
    /// callback.
    pub pending: PendingFlow,
}

/// Answer of the introspection endpoint (RFC 7662).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Introspection {
    /// Whether the token is valid.
    pub active: bool,
    /// The token's scopes, separated by spaces.
    pub scope: Option<String>,
    /// When the token was issued, as the number that Notion sends.
    pub issued_at: Option<u64>,
    /// Notion's request ID.
    pub request_id: Option<String>,
}

impl OAuthFlow {
    pub(crate) fn new(
        app: NotionAppCredentials,
        endpoints: Endpoints,
        transport: Option<Transport>,
        clock: Arc<dyn Clock>,
        deadline: Duration,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                app,
                endpoints,
                transport,
                clock,
                deadline,
            }),
        }
    }

    #[cfg(any(feature = "https", feature = "routes"))]
    pub(crate) fn app(&self) -> &NotionAppCredentials {
        &self.shared.app
    }

    /// Starts a connection for `subject`.
    ///
    /// The authorization URL has `owner=user`, the app's redirect URI and a new random `state`.
    ///
    /// # Errors
    /// If the app has no client id or no client secret.
    pub fn authorize(&self, subject: &Subject) -> Result<AuthorizationRequest, OAuthError> {
        let app = &self.shared.app;
        let client = self.client()?;
        let pending = PendingFlow::start(subject, app.redirect_uri(), self.shared.clock.wall());
        let mut url = app.authorization_url().clone();
        // The authorization URL that Notion shows for an integration already has some of the parameters.
        let others: Vec<(String, String)> = url
            .query_pairs()
            .into_owned()
            .filter(|(name, _)| !PARAMETERS.contains(&&**name))
            .collect();
        {
            let mut query = url.query_pairs_mut();
            query
                .clear()
                .extend_pairs(others)
                .append_pair("client_id", client.id)
                .append_pair("response_type", "code")
                .append_pair("owner", "user");
            if let Some(redirect_uri) = app.redirect_uri() {
                query.append_pair("redirect_uri", redirect_uri);
            }
            if !app.default_scope().is_empty() {
                query.append_pair("scope", &app.default_scope().join(" "));
            }
            query.append_pair("state", pending.expose_state());
        }
        Ok(AuthorizationRequest { url, pending })
    }

    /// Completes a connection: checks the callback against the pending flow, and exchanges the code.
    ///
    /// `subject` is the one that is signed in at the callback. The callback's `state` and the subject must
    /// be those of the flow, and the flow must not be older than 10 minutes. If the callback has an `iss`,
    /// it must be the origin of the authorization URL (RFC 9207).
    ///
    /// # Errors
    /// When a check fails, when the app has no OAuth client, and when the call fails. A code can be used once: after an
    /// error of the call, start again.
    pub async fn exchange(
        &self,
        pending: PendingFlow,
        subject: &Subject,
        answer: CallbackAnswer,
    ) -> Result<NotionUserCredentials, OAuthError> {
        pending.check(subject, answer.state(), self.shared.clock.wall())?;
        answer.check_issuer(&self.issuer())?;
        self.exchange_code_at(answer.code(), pending.redirect_uri())
            .await
    }

    /// Exchanges a code without a [`PendingFlow`], for applications that check the callback's `state`
    /// themselves.
    ///
    /// # Errors
    /// When the app has no OAuth client, and when the call fails.
    pub async fn exchange_code(&self, code: &str) -> Result<NotionUserCredentials, OAuthError> {
        self.exchange_code_at(code, self.shared.app.redirect_uri())
            .await
    }

    async fn exchange_code_at(
        &self,
        code: &str,
        redirect_uri: Option<&str>,
    ) -> Result<NotionUserCredentials, OAuthError> {
        let parameters = Parameters::Exchange {
            grant_type: "authorization_code",
            code,
            redirect_uri,
        };
        let deadline = self.within_reading();
        let (answer, received_at) = self
            .post(
                Endpoint::Token,
                &parameters,
                &[code],
                SendGate::open(),
                deadline,
            )
            .await?;
        Ok(TokenAnswer::read(answer, received_at)?.into_credentials())
    }

    /// Exchanges the refresh token of `credentials` for new credentials, without a store.
    ///
    /// Use it only for credentials that are in no store; for these, call
    /// [`NotionAuthProvider::refresh`](crate::NotionAuthProvider::refresh). This call takes no refresh lease, so another
    /// process may use the same token. If the answer is not saved, the connection is lost.
    ///
    /// # Errors
    /// When there is no refresh token, when the app has no OAuth client, and when the call fails.
    pub async fn refresh(
        &self,
        credentials: &NotionUserCredentials,
    ) -> Result<NotionUserCredentials, OAuthError> {
        let token = credentials
            .refresh_token
            .as_ref()
            .ok_or_else(|| OAuthError::configuration("these credentials have no refresh token"))?;
        let answer = self.spend(token, SendGate::open()).await?;
        Ok(answer.refresh(credentials.clone()))
    }

    /// Sends a refresh. `gate` is the check right before its first byte.
    pub(crate) async fn spend(
        &self,
        token: &RefreshToken,
        gate: SendGate,
    ) -> Result<TokenAnswer, OAuthError> {
        let parameters = Parameters::Refresh {
            grant_type: "refresh_token",
            refresh_token: token.expose(),
        };
        let deadline = self.within_reading();
        let (answer, received_at) = self
            .post(
                Endpoint::Token,
                &parameters,
                &[token.expose()],
                gate,
                deadline,
            )
            .await?;
        TokenAnswer::read(answer, received_at)
    }

    /// Revokes an access token. To revoke a refresh token, pass its text as an [`AccessToken`].
    ///
    /// # Errors
    /// When the app has no OAuth client, and when the call fails.
    pub async fn revoke(&self, token: &AccessToken) -> Result<(), OAuthError> {
        self.post_token(Endpoint::Revoke, token)
            .await?
            .acknowledged()
    }

    /// Revokes both tokens, because it depends on the server which of them ends the grant.
    pub(crate) async fn revoke_both(
        &self,
        credentials: &NotionUserCredentials,
    ) -> Result<(), OAuthError> {
        let access = self.revoke(&credentials.access_token).await;
        let refresh = match &credentials.refresh_token {
            Some(token) => self.revoke(&AccessToken::new(token.expose())).await,
            None => Ok(()),
        };
        access.and(refresh)
    }

    /// Asks whether an access token is valid.
    ///
    /// # Errors
    /// When the app has no OAuth client, and when the call fails.
    pub async fn introspect(&self, token: &AccessToken) -> Result<Introspection, OAuthError> {
        let answer = self.post_token(Endpoint::Introspect, token).await?;
        let Some(members) = answer.members() else {
            return Err(answer.unusable(NO_OBJECT));
        };
        let Some(active) = members.get("active").and_then(Value::as_bool) else {
            return Err(answer.unusable("it has no member `active` that is true or false"));
        };
        let text = |name| members.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Introspection {
            active,
            scope: text("scope"),
            issued_at: members.get("iat").and_then(Value::as_u64),
            request_id: text("request_id"),
        })
    }

    async fn post_token(
        &self,
        endpoint: Endpoint,
        token: &AccessToken,
    ) -> Result<Success, OAuthError> {
        let parameters = Parameters::Token {
            token: token.expose(),
        };
        let deadline = self.within_call();
        let secrets = [token.expose()];
        self.post(endpoint, &parameters, &secrets, SendGate::open(), deadline)
            .await
            .map(|(answer, _)| answer)
    }

    /// Returns the issuer identifier of the authorization server. Notion documents none and sends no `iss`.
    /// An `iss` of another origin is that of another server in any case.
    pub(crate) fn issuer(&self) -> String {
        let origin = self.shared.app.authorization_url().origin();
        origin.ascii_serialization()
    }

    fn url(&self, endpoint: Endpoint) -> Cow<'_, Url> {
        let token_url = self.shared.app.token_url();
        let (configured, name) = match endpoint {
            Endpoint::Token => return Cow::Borrowed(token_url),
            Endpoint::Revoke => (&self.shared.endpoints.revoke, "revoke"),
            Endpoint::Introspect => (&self.shared.endpoints.introspect, "introspect"),
        };
        match configured {
            Some(url) => Cow::Borrowed(url),
            None => Cow::Owned(sibling(token_url, name)),
        }
    }

    fn within_reading(&self) -> ReadDeadline {
        ReadDeadline::AfterHead(self.shared.deadline.saturating_mul(READING))
    }

    fn within_call(&self) -> ReadDeadline {
        ReadDeadline::AfterRequest(self.shared.deadline)
    }

    /// Makes a call. Returns the successful answer, and when it began.
    async fn post(
        &self,
        endpoint: Endpoint,
        parameters: &Parameters<'_>,
        secrets: &[&str],
        gate: SendGate,
        deadline: ReadDeadline,
    ) -> Result<(Success, SystemTime), OAuthError> {
        let client = self.client()?;
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(OAuthError::configuration(
                "there is no tokio runtime to call the OAuth endpoints on: call from within one",
            ));
        }
        let transport = self.shared.transport.as_ref().ok_or_else(|| {
            OAuthError::configuration(
                "there is no transport for the OAuth endpoints: give one to the provider's \
                 builder, or enable the feature `https`",
            )
        })?;
        let basic = client.basic();
        let url = self.url(endpoint);
        let request = request(&url, parameters, &basic, self.shared.app.version())?;
        let began = transport.send(request, self.shared.deadline, gate).await;
        let received_at = self.shared.clock.wall();
        let outcome = match began {
            Ok(incoming) => Ok(incoming.read(deadline).await),
            Err(error) => Err(error),
        };
        let mut secrets = secrets.to_vec();
        secrets.extend([client.secret.expose(), basic.trim_start_matches("Basic ")]);
        Success::of(outcome, endpoint, &secrets).map(|answer| (answer, received_at))
    }

    fn client(&self) -> Result<Client<'_>, OAuthError> {
        let app = &self.shared.app;
        let id = app.client_id().ok_or_else(|| {
            OAuthError::configuration("the app credentials have no client id (NOTION_CLIENT_ID)")
        })?;
        let secret = app.client_secret().ok_or_else(|| {
            OAuthError::configuration(
                "the app credentials have no client secret (NOTION_CLIENT_SECRET)",
            )
        })?;
        Ok(Client { id, secret })
    }
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL is not shown, because it contains the `state`.
        f.debug_struct("AuthorizationRequest")
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OAuthFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthFlow")
            .field("app", &self.shared.app)
            .field("deadline", &self.shared.deadline)
            .finish_non_exhaustive()
    }
}

/// The parameters of an authorization request. None may be sent twice (RFC 6749 section 3.1).
const PARAMETERS: [&str; 6] = [
    "client_id",
    "response_type",
    "owner",
    "redirect_uri",
    "scope",
    "state",
];
