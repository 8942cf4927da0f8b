//! The store for records that outlast a request.

use serde::Deserialize;

use super::checked_text::ClusterName;
use base::store::etcd::Etcd;

/// The store for records that outlast a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StoreDocument {
    /// Memory that all workers of one proxy share, at most 16 MiB, until the proxy ends.
    #[default]
    Memory,
    /// etcd, for many replicas.
    Etcd(EtcdDocument),
}

/// An etcd, reached through the JSON gateway of its API (v3).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EtcdDocument {
    /// The Envoy cluster of etcd's client port.
    pub cluster: ClusterName,
    /// The `:authority` of calls. Default: the cluster's name.
    pub authority: Option<String>,
    /// The prefix of all records.
    #[serde(default = "default_prefix")]
    pub prefix: String,
}

/// The etcd of a policy; `None` for the proxy's memory.
pub(super) fn compile_store(document: &StoreDocument) -> Option<Etcd> {
    let StoreDocument::Etcd(etcd) = document else {
        return None;
    };
    let authority = etcd.authority.clone();
    Some(Etcd {
        authority: authority.unwrap_or_else(|| String::from(&etcd.cluster)),
        cluster: String::from(&etcd.cluster),
        prefix: etcd.prefix.clone(),
    })
}

fn default_prefix() -> String {
    "mcp-auth/".to_owned()
}
