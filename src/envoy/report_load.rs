//! Log lines and gauges about a policy that was loaded or refused.

use std::rc::Rc;

use proxy_wasm::types::LogLevel;

use super::shared::Shared;
use super::{host_calls, metrics};
use crate::loaded::{LoadedNote, refused_line};
use policy::Policies;

/// Each worker loads the policy. The first one logs it.
pub(super) fn loaded(json: &[u8], policies: &Policies<Rc<Shared>>) {
    let plugin = host_calls::plugin_name();
    let note = LoadedNote::of(&serde_json::from_slice(json).unwrap_or_default());
    metrics::report_load(&plugin, Some(&note));
    let written = note.written();
    let change = |held: &[u8]| match held == written {
        true => Ok((None, None)),
        false => Ok((Some(LoadedNote::read(held)), Some(written.clone()))),
    };
    if let Ok(Some(before)) = host_calls::change_shared(&key(&plugin), change) {
        let policies = policies.iter().map(|shared| &*shared.engine.policy);
        let line = note.line(policies, before.as_ref());
        host_calls::log(LogLevel::Info, &line);
    }
}

/// The policy was refused, and the lines before this one say why.
pub(super) fn refused() {
    let plugin = host_calls::plugin_name();
    metrics::report_load(&plugin, None);
    let read = |held: &[u8]| Ok((LoadedNote::read(held), None));
    let before = host_calls::change_shared(&key(&plugin), read);
    let line = refused_line(before.ok().flatten().as_ref());
    host_calls::log(LogLevel::Error, &line);
}

/// The name of the note that workers share.
fn key(plugin: &str) -> String {
    format!("mcp-auth/loaded/{plugin}")
}
