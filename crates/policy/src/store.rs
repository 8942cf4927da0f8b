//! Where this filter keeps what outlasts a request.

use serde::Deserialize;

use super::error::{Errors, PolicyError};
use base::store::etcd::Etcd;

/// Where this filter keeps what outlasts a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StoreDocument {
    /// In memory that all workers of one proxy share, 16 MiB at most, until the proxy ends.
    #[default]
    Memory,
    /// In etcd, for many replicas.
    Etcd(EtcdDocument),
}

/// An etcd, reached through the JSON gateway of its API (v3).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EtcdDocument {
    /// The Envoy cluster of etcd's client port.
    pub cluster: String,
    /// The `:authority` of calls. Default: the cluster's name.
    pub authority: Option<String>,
    /// What the names of all records start with.
    #[serde(default = "default_prefix")]
    pub prefix: String,
}

/// The etcd of a policy; `None` for the proxy's memory.
pub(super) fn compile_store(document: StoreDocument, errors: &mut Errors) -> Option<Etcd> {
    let StoreDocument::Etcd(etcd) = document else {
        return None;
    };
    if etcd.cluster.is_empty() {
        let message = "found none, expected the name of an Envoy cluster";
        errors.push(PolicyError::new("store.etcd.cluster", message));
    }
    Some(Etcd {
        authority: etcd.authority.unwrap_or_else(|| etcd.cluster.clone()),
        cluster: etcd.cluster,
        prefix: etcd.prefix,
    })
}

fn default_prefix() -> String {
    "mcp-auth/".to_owned()
}
