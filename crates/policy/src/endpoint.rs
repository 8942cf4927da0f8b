//! The endpoints that a policy names, checked.

use super::checked_text::{ClusterName, EndpointPath};
use super::error::{Errors, PolicyError};
use base::http::Endpoint;

/// An endpoint at a path of the policy. `host`: the `:authority` if the policy has none.
pub(super) fn compile_endpoint(
    path: &str,
    (cluster, endpoint_path, authority): (&ClusterName, &EndpointPath, &Option<String>),
    host: Option<String>,
    errors: &mut Errors,
) -> Option<Endpoint> {
    let authority = authority.clone().or(host).filter(|host| !host.is_empty());
    if authority.is_none() {
        let message = "found none, expected the host to call: there is no URL to take it from";
        errors.push(PolicyError::new(format!("{path}.authority"), message));
    }
    Some(Endpoint {
        cluster: cluster.into(),
        path: endpoint_path.into(),
        authority: authority?,
    })
}
