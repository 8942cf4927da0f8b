//! Counters in Envoy's stats: `wasmcustom.mcp_auth.decisions.<decision>.<reason>`, with the policy as a
//! last part if the plugin has several.

use std::cell::RefCell;
use std::collections::HashMap;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use crate::audit::Record;

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
}

/// A resource's name as the last part of a stat's: `.crm_example_com_mcp`.
fn stat_name(resource: &str) -> String {
    let (_, name) = resource.split_once("://").unwrap_or_default();
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '_'
        }
    };
    std::iter::once('.')
        .chain(name.chars().map(plain))
        .collect()
}
