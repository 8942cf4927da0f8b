//! The HTTP client of commands that ask servers.

use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{ClientCert, RootCerts, TlsConfig};

/// An HTTP client that follows no redirects. `roots` are the certificates of servers, `client` is its own. A request
/// ends after `timeout`.
pub(crate) fn agent(roots: RootCerts, client: Option<ClientCert>, timeout: Duration) -> Agent {
    let provider = rustls::crypto::ring::default_provider();
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .client_cert(client)
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .build();
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .tls_config(tls)
        .build();
    config.into()
}
