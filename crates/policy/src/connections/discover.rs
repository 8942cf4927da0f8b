//! Connections with discovery: the server to ask for metadata, and the hosts that the metadata may name.

use url::Url;

use super::client::connection_auth;
use super::document::{ConnectionDocument, DiscoverDocument};
use crate::checked_text::ClusterName;
use crate::error::{Errors, PolicyError};
use base::http::Endpoint;
use oauth::client::{Discovery, host_of, web_url};

pub(super) fn compile_discover(
    path: &str,
    (issuer, connection): (&str, &ConnectionDocument),
    document: &DiscoverDocument,
    errors: &mut Errors,
) -> Discovery {
    let mut refuse = |key: &str, message: &str| {
        errors.push(PolicyError::new(format!("{path}.{key}"), message));
    };
    let instead = "does not go with `discover`, which asks for it";
    for (key, is_written) in [
        ("authorize", connection.authorize.is_some()),
        ("token", connection.token.is_some()),
        ("revoke", connection.revoke.is_some()),
    ] {
        if is_written {
            refuse(key, instead);
        }
    }
    for (key, is_written) in [
        ("client_secret_env", connection.client_secret_env.is_some()),
        ("client_key_env", connection.client_key_env.is_some()),
    ] {
        if connection.client_id.is_none() && is_written {
            let message = "goes with `client_id`: what this filter finds out itself has no secret";
            refuse(key, message);
        }
    }
    let issuer = web_url(issuer).ok();
    // Otherwise `issuer` is refused.
    if issuer.as_ref().is_some_and(has_more_than_path) {
        let message = "expected a URL without query, fragment and user (RFC 8414 section 2)";
        refuse("issuer", message);
    }
    let auth = connection_auth(connection).compile(path, connection.issuer.as_deref(), errors);
    let path = format!("{path}.discover");
    let mut origins = Vec::new();
    if let Some(issuer) = &issuer {
        origins.push((issuer.origin(), String::from(&document.cluster)));
        for (host, cluster) in &document.hosts {
            let path = format!("{path}.hosts.{host}");
            origins.extend(compile_host(&path, issuer, (host, cluster), errors));
        }
    }
    let resource = document.resource.as_ref();
    let resource = resource.and_then(|resource| {
        compile_resource(
            &format!("{path}.resource"),
            connection,
            &resource.cluster,
            errors,
        )
    });
    Discovery {
        origins,
        resource,
        client_id: connection.client_id.as_ref().map(String::from),
        auth,
        chooses_method: connection.client_auth.is_none(),
    }
}

/// Another host of an issuer. It is reached like the issuer.
fn compile_host(
    path: &str,
    issuer: &Url,
    (host, cluster): (&str, &ClusterName),
    errors: &mut Errors,
) -> Option<(url::Origin, String)> {
    let url = web_url(&format!("{}://{host}", issuer.scheme()));
    let url = url.ok().filter(|url| host_of(url).as_deref() == Some(host));
    if url.is_none() {
        let message = "expected a host such as auth.example.com, with its port if it has one";
        errors.push(PolicyError::new(path, message));
    }
    Some((url?.origin(), cluster.into()))
}

/// The endpoint of a resource's metadata (RFC 9728 section 3.1).
fn compile_resource(
    path: &str,
    connection: &ConnectionDocument,
    cluster: &ClusterName,
    errors: &mut Errors,
) -> Option<Endpoint> {
    let url = connection.resource.as_deref().ok_or("there is none");
    let url = url.and_then(web_url);
    let url = url.and_then(|url| match url.fragment() {
        Some(_) => Err("expected a URL without fragment (RFC 8707 section 2)"),
        None => Ok(url),
    });
    match url {
        Ok(url) => {
            let path = Some(url.path()).filter(|path| *path != "/");
            let query = url.query().map(|query| format!("?{query}"));
            let (path, query) = (path.unwrap_or_default(), query.unwrap_or_default());
            Some(Endpoint {
                cluster: cluster.into(),
                path: format!("/.well-known/oauth-protected-resource{path}{query}"),
                authority: host_of(&url)?,
            })
        }
        Err(message) => {
            let message =
                format!("asks for the metadata of the connection's `resource`: {message}");
            errors.push(PolicyError::new(path, message));
            None
        }
    }
}

fn has_more_than_path(url: &Url) -> bool {
    let has_user = !url.username().is_empty() || url.password().is_some();
    url.query().is_some() || url.fragment().is_some() || has_user
}
