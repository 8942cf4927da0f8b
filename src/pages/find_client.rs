//! The endpoints and the client id at an authorization server, for policies that have only its issuer. They
//! come from its metadata (RFC 8414) and from dynamic registration (RFC 7591).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::connect::callback;
use super::sealed::{Expires, expires, random_text};
use super::{PageContext, PageOutcome, PageRefusal, redirect_uri, sign_in};
use crate::reasons::Approval;
use base::http::{Endpoint, HttpResponse, Reply};
use base::seal::Purpose;
use base::store::{Key, RecordKind, StoreOperation, StoreRecord};
use base::time::UnixTime;
use oauth::client::{
    AuthorizationServer, ClientIdSource, DiscoveredServer, Discovery, DiscoveryError,
    TokenAnswerError, TokenGrant, check_resource, metadata_paths, read_metadata, read_registration,
};
use policy::{Connection, OAuthConnection, Policy};

/// How long a registration is used.
const REGISTRATION_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

/// Finds the client for a connection. `None`: the policy has it.
pub(super) async fn find_client(
    context: &PageContext,
    connection: &Connection,
    oauth: &OAuthConnection,
) -> Result<Option<DiscoveredServer>, PageRefusal> {
    let AuthorizationServer::Discovered(discovery) = &oauth.server else {
        return Ok(None);
    };
    if let Some(resource) = &discovery.resource {
        let response = context.effects.call(resource.get(None)).await;
        let expected = (oauth.resource.as_deref(), oauth.issuer.as_str());
        check_resource(expected, response.as_ref())?;
    }
    let (discovered, source) = fetch_metadata(context, oauth, discovery).await?;
    let ClientIdSource::Register(endpoint) = source else {
        return Ok(Some(discovered));
    };
    let registration = Registration {
        context,
        connection,
        oauth,
        discovered: &discovered,
        endpoint: &endpoint,
    };
    let client_id = registration.client_id().await?;
    Ok(Some(discovered.known_as(client_id)))
}

/// Fetches the authorization server's metadata from the first path that has it.
async fn fetch_metadata(
    context: &PageContext,
    connection: &OAuthConnection,
    discovery: &Discovery,
) -> Result<(DiscoveredServer, ClientIdSource), PageRefusal> {
    let issuer = Url::parse(&connection.issuer).map_err(|_| PageRefusal::Request)?;
    let endpoint = discovery.endpoint(&issuer).ok_or(PageRefusal::Request)?;
    for path in metadata_paths(&issuer) {
        let endpoint = Endpoint {
            path,
            ..endpoint.clone()
        };
        let response = context.effects.call(endpoint.get(None)).await;
        if let Some(document) = document_of(response.as_ref())? {
            let server = (connection.issuer.as_str(), discovery);
            let document_url = context.policy.document_url();
            return Ok(read_metadata(server, &document_url, document)?);
        }
    }
    Err(DiscoveryError::NotOffered.into())
}

/// The document in a response. `None`: this path has none.
fn document_of(response: Option<&HttpResponse>) -> Result<Option<&[u8]>, DiscoveryError> {
    match response {
        Some(response) if response.status == 200 => Ok(Some(&response.body)),
        Some(response) if (400..=499).contains(&response.status) => Ok(None),
        _ => Err(DiscoveryError::Unavailable),
    }
}

/// The filter's registration at one authorization server, for one connection. It is made once for all
/// replicas. It is made again when the authorization server does not know the client any more.
pub(super) struct Registration<'a> {
    pub(super) context: &'a PageContext,
    pub(super) connection: &'a Connection,
    pub(super) oauth: &'a OAuthConnection,
    /// The authorization server's other endpoints.
    pub(super) discovered: &'a DiscoveredServer,
    /// The registration endpoint.
    pub(super) endpoint: &'a Endpoint,
}

/// A registration, as JSON that is then sealed.
#[derive(Serialize, Deserialize)]
struct WrittenRegistration {
    client_id: String,
    expires: UnixTime,
}

expires!(WrittenRegistration);

impl Registration<'_> {
    /// The client id: the registered one, or a new one.
    pub(super) async fn client_id(&self) -> Result<String, PageRefusal> {
        let effects = &self.context.effects;
        let kept = effects.get(self.key()).await?;
        let replaces = kept.is_some();
        let is_current = kept
            .as_ref()
            .is_none_or(|kept| self.context.sealer.is_current(kept));
        if let Some(client_id) = kept.and_then(|kept| self.open(&kept))
            && self.is_known(&client_id).await?
        {
            if !is_current {
                // If it fails, the next user tries again.
                let again = StoreOperation::Put(self.record(&client_id));
                let _ = effects.store(again).await;
            }
            return Ok(client_id);
        }
        let request = self.endpoint.post_json(&self.metadata());
        let response = effects.call(request).await;
        let client_id = read_registration(response.as_ref(), &self.redirect_uri());
        let client_id = client_id.map_err(PageRefusal::Registration)?;
        let record = self.record(&client_id);
        if replaces {
            effects.store(StoreOperation::Put(record)).await?;
        } else if !effects.create(record).await? {
            // Another replica was first: all use its client id.
            let first = effects.get(self.key()).await?;
            let first = first.and_then(|first| self.open(&first));
            return Ok(first.unwrap_or(client_id));
        }
        Ok(client_id)
    }

    /// Whether the authorization server still knows the client. If not, it would show an error to the user
    /// and never redirect the browser back. It checks the client before the code (RFC 6749 section 5.2), so
    /// a code that does not exist is enough for the check.
    async fn is_known(&self, client_id: &str) -> Result<bool, PageRefusal> {
        let discovered = self.discovered.clone().known_as(client_id.to_owned());
        let client = self.oauth.server.client(Some(&discovered));
        let client = client.ok_or(PageRefusal::Request)?;
        let none = random_text(self.context.random)?;
        let grant = TokenGrant::Code {
            code: &none,
            verifier: &none,
            redirect_uri: &self.redirect_uri(),
            resource: self.oauth.resource.as_deref(),
        };
        let tokens = self.context.request_tokens(&client.token, grant).await;
        Ok(tokens != Err(TokenAnswerError::UnknownClient))
    }

    /// The client metadata to register.
    pub(super) fn metadata(&self) -> Value {
        let mut metadata = metadata(&self.context.policy, &[self.redirect_uri()]);
        if !self.oauth.scopes.is_empty()
            && let Some(metadata) = metadata.as_object_mut()
        {
            metadata.insert("scope".to_owned(), json!(self.scope()));
        }
        metadata
    }

    /// The record that keeps a client id.
    pub(super) fn record(&self, client_id: &str) -> StoreRecord {
        let (client_id, expires) = (client_id.to_owned(), self.context.now());
        let expires = expires.saturating_add(REGISTRATION_LIFETIME);
        let written = WrittenRegistration { client_id, expires };
        let key = self.key();
        let bound = [key.as_str().as_bytes()];
        let value = self.context.seals();
        let value = value.seal(Purpose::Client, &bound, &written);
        StoreRecord {
            key,
            value,
            expires,
        }
    }

    /// Opens the value of a record.
    pub(super) fn open(&self, value: &str) -> Option<String> {
        let (key, now) = (self.key(), self.context.now());
        let bound = [key.as_str().as_bytes()];
        let seals = self.context.seals();
        let written: WrittenRegistration = seals.open(Purpose::Client, &bound, value, now)?;
        Some(written.client_id)
    }

    /// The key of the record: a hash of all values that a registration depends on.
    pub(super) fn key(&self) -> Key {
        let resource = &self.context.policy.resource;
        let (issuer, name) = (&self.oauth.issuer, &self.connection.name);
        Key::of(
            RecordKind::Registration,
            &[resource, issuer, name, &self.scope()],
            &[],
        )
    }

    fn scope(&self) -> String {
        self.oauth.scopes.join(" ")
    }

    fn redirect_uri(&self) -> String {
        callback(&self.context.policy, self.connection)
    }
}

/// The filter's client metadata (RFC 7591 section 2).
fn metadata(policy: &Policy, redirect_uris: &[String]) -> Value {
    let origin = policy.origin();
    let name = policy.metadata.resource_name.as_deref().unwrap_or(origin);
    json!({
        "client_name": name,
        "client_uri": origin,
        "redirect_uris": redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    })
}

/// The filter's client metadata document (OAuth Client ID Metadata Document).
pub(super) fn document(context: &PageContext) -> Result<PageOutcome, PageRefusal> {
    let policy = &*context.policy;
    if !policy.publishes_document() {
        return Err(PageRefusal::NotFound);
    }
    let connections = policy.connections.iter();
    let mut redirect_uris: Vec<String> = connections
        .filter(|connection| connection.oauth().is_some())
        .map(|connection| callback(policy, connection))
        .collect();
    redirect_uris.push(redirect_uri(policy, sign_in::PAGE));
    let mut document = metadata(policy, &redirect_uris);
    if let Some(document) = document.as_object_mut() {
        document.insert("client_id".to_owned(), policy.document_url().into());
    }
    Ok(PageOutcome {
        reply: Reply {
            status: 200,
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("cache-control", "max-age=300".to_owned()),
            ],
            body: document.to_string().into_bytes(),
        },
        outcome: Ok(Approval::ClientDocumentPublished),
        user: None,
        connection: None,
        client: None,
        tool: None,
        approval: None,
    })
}
