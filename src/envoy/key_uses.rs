//! What the log and metrics say about the keys of `seal` while they are replaced.

use std::collections::HashSet;

use proxy_wasm::types::LogLevel;

use super::host_calls;
use super::metrics::Metrics;
use base::seal::{KeyUse, RECORD_NAMES, Sealer};
use policy::document::Seal;

/// Logs which variable has which key, once for all workers. A policy with one key needs no such line.
pub(super) fn log(resource: &str, seal: &Seal, sealer: &Sealer) {
    let keys = seal.keys().zip(sealer.key_ids());
    let keys: Vec<_> = keys
        .map(|((_, variable), id)| format!("`{id}` ({})", &**variable))
        .collect();
    let [first, others @ ..] = &*keys else {
        return;
    };
    let line = format!("seal: {first} seals, and {} open, too", others.join(", "));
    let change = |held: &[u8]| match others.is_empty() || held == line.as_bytes() {
        true => Ok((false, None)),
        false => Ok((true, Some(line.clone().into_bytes()))),
    };
    if host_calls::change_shared(&format!("mcp-auth/keys/{resource}"), change) == Ok(true) {
        host_calls::log(LogLevel::Info, &line);
    }
}

/// Counts values that were not sealed with the first key. The first one of each kind is logged.
pub(super) fn report(
    sealer: &Sealer,
    metrics: &Metrics,
    logged: &mut HashSet<(Option<String>, &'static str)>,
) {
    for KeyUse {
        key,
        purpose,
        count,
    } in sealer.take_uses()
    {
        metrics.count_key_use(key.as_deref(), purpose, count);
        // The check of names has a line of its own.
        if purpose != RECORD_NAMES && logged.insert((key.clone(), purpose)) {
            let line = match key {
                Some(key) => format!("seal: the key `{key}` is still in use ({purpose})"),
                None => format!(
                    "seal: a value names a key that the policy does not have ({purpose}); it does not open"
                ),
            };
            host_calls::log(LogLevel::Warn, &line);
        }
    }
}
