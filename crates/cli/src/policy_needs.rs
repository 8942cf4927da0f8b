//! What policies need of the proxy: clusters, variables and room to buffer.

use policy::Policy;
use policy::document::{AuthorizationDocument, ConfirmDocument, Document, UpstreamDocument};
use serde_json::Value;
use url::Url;

use crate::{Failure, terminal_text};

/// What policies need of the proxy.
#[derive(Debug, Default)]
pub(crate) struct PolicyNeeds {
    /// The clusters that they name, each once.
    pub(crate) clusters: Vec<NeededCluster>,
    /// The environment variables with their secrets, each once.
    pub(crate) variables: Vec<String>,
    /// Those of the variables that hold a key of the filter itself. Any random value is one.
    pub(crate) keys: Vec<String>,
    /// The bytes that the proxy has to buffer for a connection.
    pub(crate) buffer: usize,
    /// The headers that tell the server who is calling.
    pub(crate) identity_headers: Vec<String>,
    /// Whether a policy accepts requests from loopback connections only.
    pub(crate) is_local: bool,
}

/// A cluster that a policy names.
#[derive(Debug)]
pub(crate) struct NeededCluster {
    /// Its name.
    pub(crate) name: String,
    /// The keys that name it, as paths in the configuration.
    pub(crate) keys: Vec<String>,
    /// The server, as far as the policy says.
    pub(crate) server: Option<ServerAddress>,
}

impl NeededCluster {
    /// Whether it is the MCP server's, and nothing else names it.
    pub(crate) fn is_of_mcp_server(&self) -> bool {
        self.keys.iter().all(|key| is_of_mcp_server(key))
    }
}

/// Whether a key of a policy names the cluster of the MCP server itself.
pub(crate) fn is_of_mcp_server(key: &str) -> bool {
    key == "upstream.cluster" || key.ends_with(".upstream.cluster")
}

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerAddress {
    /// Whether connections use TLS.
    pub(crate) tls: bool,
    /// The host name or IP address, without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

impl ServerAddress {
    /// The address of a URL with the scheme `http` or `https`.
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        Some(Self {
            tls,
            host,
            port: url.port_or_known_default()?,
        })
    }

    /// Whether it is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let ip = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    }

    /// The host and port, as in a URL.
    pub(crate) fn authority(&self) -> String {
        let Self { tls, host, port } = self;
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.clone(),
        };
        match (tls, port) {
            (true, 443) | (false, 80) => host,
            _ => format!("{host}:{port}"),
        }
    }
}

impl PolicyNeeds {
    /// The needs of all policies of a configuration.
    pub(crate) fn of(policies: &[(Policy, Value)]) -> Result<Self, Failure> {
        let mut needs = Self::default();
        for (index, (policy, json)) in policies.iter().enumerate() {
            let prefix = match policy.label {
                Some(_) => format!("policies[{index}]."),
                None => String::new(),
            };
            needs.add(&prefix, policy, json)?;
        }
        Ok(needs)
    }

    /// The needs of one policy. `prefix`: its place among several.
    fn add(&mut self, prefix: &str, policy: &Policy, json: &Value) -> Result<(), Failure> {
        let document: Document = serde_json::from_value(json.clone()).map_err(|error| {
            let error = terminal_text::printable(&error.to_string());
            Failure::usage(
                format!("cannot read the policy: {error}"),
                "report this as a bug",
            )
        })?;
        self.is_local |= policy.local.is_some();
        let headers = &policy.headers;
        let headers = [&headers.user, &headers.organization, &headers.roles];
        self.identity_headers.extend(headers.into_iter().cloned());
        self.buffer = self.buffer.max(policy.envoy_buffer());
        self.add_issuers(prefix, &document);
        self.add_connections(prefix, &document);
        self.add_webhooks(prefix, &document);
        self.add_decisions(prefix, &document);
        self.add_upstream(&format!("{prefix}upstream."), &document.upstream, &document);
        if let Some(etcd) = &policy.store {
            let has_host = etcd.authority != etcd.cluster;
            let server = address(&format!("http://{}", etcd.authority), None);
            let server = server.filter(|_| has_host);
            self.cluster(&etcd.cluster, format!("{prefix}store.etcd.cluster"), server);
        }
        let keys = [&document.audit.key_env];
        let keys = keys.into_iter().flatten();
        let seal = document.seal.iter();
        let seal = seal.flat_map(|seal| seal.keys().chain(seal.names()));
        for name in keys.chain(seal.map(|(_, name)| name)) {
            self.variable(name);
            if !self.keys.iter().any(|known| **known == **name) {
                self.keys.push(String::from(name));
            }
        }
        Ok(())
    }

    fn add_issuers(&mut self, prefix: &str, document: &Document) {
        for (index, issuer) in document.issuers.iter().enumerate() {
            let path = format!("{prefix}issuers[{index}].");
            let at = |authority: &Option<String>| address(&issuer.issuer, authority.as_deref());
            if let Some(jwks) = &issuer.jwks
                && let Some(cluster) = &jwks.cluster
            {
                let server = at(&jwks.authority);
                self.cluster(cluster, format!("{path}jwks.cluster"), server);
            }
            if let Some(endpoint) = &issuer.introspection {
                let server = at(&endpoint.authority);
                self.cluster(
                    &endpoint.cluster,
                    format!("{path}introspection.cluster"),
                    server,
                );
                self.variables_of(&endpoint.client_secret_env);
                self.variables_of(&endpoint.client_key_env);
            }
            let Some(sign_in) = &issuer.sign_in else {
                continue;
            };
            let server = address(&sign_in.authorize, sign_in.token.authority.as_deref());
            let token = &sign_in.token.cluster;
            self.cluster(token, format!("{path}sign_in.token.cluster"), server);
            if let Some(jwks) = &sign_in.jwks
                && let Some(cluster) = &jwks.cluster
            {
                let server = at(&jwks.authority);
                self.cluster(cluster, format!("{path}sign_in.jwks.cluster"), server);
            }
            self.variables_of(&sign_in.client_secret_env);
            self.variables_of(&sign_in.client_key_env);
        }
    }

    fn add_connections(&mut self, prefix: &str, document: &Document) {
        for (name, connection) in &document.connections {
            let path = format!("{prefix}connections.{name}.");
            let issuer = connection.issuer.as_deref().unwrap_or_default();
            let url = connection.authorize.as_deref().unwrap_or(issuer);
            for (key, place) in [("token", &connection.token), ("revoke", &connection.revoke)] {
                if let Some(place) = place {
                    let server = address(url, place.authority.as_deref());
                    self.cluster(&place.cluster, format!("{path}{key}.cluster"), server);
                }
            }
            if let Some(account) = &connection.account
                && let Some(cluster) = &account.cluster
            {
                let server = address(url, account.authority.as_deref());
                self.cluster(cluster, format!("{path}account.cluster"), server);
            }
            if let Some(discover) = &connection.discover {
                let server = address(issuer, None);
                self.cluster(&discover.cluster, format!("{path}discover.cluster"), server);
                for (host, cluster) in &discover.hosts {
                    let server = address(&format!("https://{host}"), None);
                    self.cluster(cluster, format!("{path}discover.hosts.{host}"), server);
                }
                if let Some(resource) = &discover.resource {
                    let url = connection.resource.as_deref().unwrap_or_default();
                    let key = format!("{path}discover.resource.cluster");
                    self.cluster(&resource.cluster, key, address(url, None));
                }
            }
            if let Some(check) = &connection.check {
                let authority = check.authority.as_deref().unwrap_or(&check.cluster);
                let server = address("", Some(authority));
                self.cluster(&check.cluster, format!("{path}check.cluster"), server);
            }
            self.variables_of(&connection.client_secret_env);
            self.variables_of(&connection.client_key_env);
            for credential in &connection.credentials {
                self.variables_of(&Some(credential.env.clone()));
            }
        }
    }

    fn add_webhooks(&mut self, prefix: &str, document: &Document) {
        for (name, tool) in &document.tools {
            if let ConfirmDocument::Person(approval) = &tool.confirm
                && let Some(notify) = &approval.notify
            {
                let path = format!("{prefix}tools.{name}.confirm.notify.cluster");
                let server = notify.authority.as_deref();
                let server = server.and_then(|host| address("https://", Some(host)));
                self.cluster(&notify.cluster, path, server);
                self.variable(&notify.key_env);
                self.keys.push(String::from(&notify.key_env));
            }
        }
    }

    fn add_decisions(&mut self, prefix: &str, document: &Document) {
        let general = document.decide.iter();
        let general = general.map(|decide| ("decide".to_owned(), decide));
        let operations = [("tools", &document.tools), ("prompts", &document.prompts)];
        let own = operations.into_iter().flat_map(|(section, operations)| {
            operations.iter().filter_map(move |(name, operation)| {
                Some((
                    format!("{section}.{name}.decide"),
                    operation.decide.as_ref()?,
                ))
            })
        });
        for (path, decide) in general.chain(own) {
            let spoken = [("authzen", &decide.authzen), ("opa", &decide.opa)].into_iter();
            let spoken = spoken.filter_map(|(key, point)| {
                let point = point.as_ref()?;
                Some((key, &point.cluster, &point.authority, &point.credential_env))
            });
            let http = decide.http.iter();
            let http = http.map(|point| {
                (
                    "http",
                    &point.cluster,
                    &point.authority,
                    &point.credential_env,
                )
            });
            for (key, cluster, authority, credential) in spoken.chain(http) {
                let server = authority.as_deref();
                let server = server.and_then(|host| address(&format!("http://{host}"), None));
                self.cluster(cluster, format!("{prefix}{path}.{key}.cluster"), server);
                self.variables_of(credential);
            }
        }
    }

    fn add_upstream(&mut self, path: &str, upstream: &UpstreamDocument, document: &Document) {
        if upstream.authorization == AuthorizationDocument::Static {
            self.variables_of(&upstream.credential_env);
        }
        if let Some(cluster) = &upstream.cluster {
            self.cluster(cluster, format!("{path}cluster"), None);
        }
        let Some(exchange) = &upstream.exchange else {
            return;
        };
        let issuer = document.issuers.first();
        let issuer = issuer.map_or("", |issuer| &issuer.issuer);
        let server = address(issuer, exchange.authority.as_deref());
        self.cluster(&exchange.cluster, format!("{path}exchange.cluster"), server);
        self.variables_of(&exchange.client_secret_env);
        self.variables_of(&exchange.client_key_env);
        if let Some(second) = &exchange.id_jag {
            let audience = exchange.audience.as_deref().unwrap_or_default();
            let server = address(audience, second.authority.as_deref());
            let key = format!("{path}exchange.id_jag.cluster");
            self.cluster(&second.cluster, key, server);
            self.variables_of(&second.client_secret_env);
            self.variables_of(&second.client_key_env);
        }
    }

    fn cluster(&mut self, name: &str, key: String, server: Option<ServerAddress>) {
        match self.clusters.iter_mut().find(|known| known.name == name) {
            Some(known) => {
                known.keys.push(key);
                known.server = known.server.take().or(server);
            }
            None => self.clusters.push(NeededCluster {
                name: name.to_owned(),
                keys: vec![key],
                server,
            }),
        }
    }

    fn variables_of<T: std::ops::Deref<Target = str>>(&mut self, name: &Option<T>) {
        if let Some(name) = name {
            self.variable(name);
        }
    }

    fn variable(&mut self, name: &str) {
        if !self.variables.iter().any(|known| known == name) {
            self.variables.push(name.to_owned());
        }
    }
}

/// The server of a URL, or of an authority with the scheme of this URL.
fn address(url: &str, authority: Option<&str>) -> Option<ServerAddress> {
    let Some(authority) = authority else {
        return ServerAddress::of_url(url);
    };
    let scheme = url.split_once("://").map_or("https", |(scheme, _)| scheme);
    ServerAddress::of_url(&format!("{scheme}://{authority}"))
}
