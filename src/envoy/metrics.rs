//! Metrics in Envoy's stats: `wasmcustom.mcp_auth.decisions.<decision>.<reason>`, with the policy as a last part if
//! the plugin has several, and gauges about the last load of a policy, with the plugin's name as a last part.

use std::cell::RefCell;
use std::collections::HashMap;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use super::host_calls;
use crate::audit::Record;
use crate::loaded::{COMMIT, LoadedNote, VERSION};

/// The metrics of one plugin configuration in one worker. Both labels have a fixed set of values, so the
/// number of counters is bounded.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    counters: RefCell<HashMap<(&'static str, &'static str, bool), u32>>,
    duration: RefCell<Option<u32>>,
}

impl Metrics {
    /// Counts a record.
    pub(super) fn count(&self, record: &Record) {
        let decision = record.decision.verdict.name();
        let reason = record.decision.reason;
        let mut counters = self.counters.borrow_mut();
        let label = record.policy.as_deref().map(stat_name);
        let key = (decision, reason, label.is_some());
        let counter = counters.entry(key).or_insert_with(|| {
            let label = label.unwrap_or_default();
            let name = format!("mcp_auth.decisions.{decision}.{reason}{label}");
            hostcalls::define_metric(MetricType::Counter, &name).unwrap_or_default()
        });
        let _ = hostcalls::increment_metric(*counter, 1);
        let mut duration = self.duration.borrow_mut();
        let histogram = duration.get_or_insert_with(|| {
            hostcalls::define_metric(MetricType::Histogram, "mcp_auth.duration_ms")
                .unwrap_or_default()
        });
        let _ = hostcalls::record_metric(*histogram, record.duration_ms);
    }

    /// Counts values that were opened with this key, or name a key that the policy does not have. Keys and
    /// purposes are few.
    pub(super) fn count_key_use(&self, key: Option<&str>, purpose: &str, count: u64) {
        let name = key_use_name(key, purpose);
        if let Ok(counter) = hostcalls::define_metric(MetricType::Counter, &name) {
            let _ = hostcalls::increment_metric(counter, i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

/// The name of the counter of values that were opened with a key other than the first, or not at all.
fn key_use_name(key: Option<&str>, purpose: &str) -> String {
    let purpose = plain(purpose);
    match key {
        Some(key) => format!("mcp_auth.seal_older_key.{key}.{purpose}"),
        None => format!("mcp_auth.seal_unknown_key.{purpose}"),
    }
}

/// A resource's name as the last part of a stat's: `.crm_example_com_mcp`.
fn stat_name(resource: &str) -> String {
    let (_, name) = resource.split_once("://").unwrap_or_default();
    format!(".{}", plain(name))
}

/// The gauges after a policy was loaded (with its note) or refused.
pub(super) fn report_load(plugin: &str, loaded: Option<&LoadedNote>) {
    let plugin = plain(plugin);
    let (version, commit) = (plain(VERSION), plain(COMMIT.unwrap_or("unknown")));
    set_gauge(&format!("mcp_auth.build.{version}.{commit}"), 1);
    // Envoy does not load the policy in force again when its file is restored after a refusal. So the gauge has the
    // time of the refusal, which Envoy's `update_time` then exceeds.
    let refused_ms = match loaded {
        Some(_) => 0,
        None => host_calls::now_ms(),
    };
    set_gauge(
        &format!("mcp_auth.policy_refused_time.{plugin}"),
        refused_ms,
    );
    if let Some(note) = loaded {
        set_gauge(&format!("mcp_auth.policy_hash.{plugin}"), note.number());
    }
}

fn set_gauge(name: &str, value: u64) {
    if let Ok(gauge) = hostcalls::define_metric(MetricType::Gauge, name) {
        let _ = hostcalls::record_metric(gauge, value);
    }
}

/// A name as one part of a stat's.
fn plain(name: &str) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '_'
        }
    };
    name.chars().map(plain).collect()
}
