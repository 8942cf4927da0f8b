//! One plugin configuration in one worker.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel};

use super::configuration;
use super::fetch::Shared;
use super::host;
use super::stream::StreamContext;
use crate::challenge::Reply;
use crate::identity::Verifier;
use crate::policy::Policy;

/// The root context.
#[derive(Default)]
pub(super) struct Root {
    shared: Option<Rc<Shared>>,
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _: usize, size: usize, _: usize) {
        if let Some(shared) = &self.shared {
            shared.fetched(token, size);
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let configuration = host::buffer(BufferType::PluginConfiguration, size);
        match load(&configuration) {
            Ok(shared) => {
                shared.start();
                self.shared = Some(Rc::new(shared));
                true
            }
            Err(errors) => {
                for error in errors {
                    host::log(LogLevel::Error, &format!("policy not loaded: {error}"));
                }
                false
            }
        }
    }

    fn on_tick(&mut self) {
        if let Some(shared) = &self.shared {
            shared.tick();
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        match &self.shared {
            Some(shared) => Some(Box::new(StreamContext::new(id, Rc::clone(shared)))),
            None => Some(Box::new(Unconfigured)),
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn load(configuration: &[u8]) -> Result<Shared, Vec<String>> {
    let policy = Policy::parse(&configuration::to_json(configuration)).map_err(|errors| {
        let text = errors.iter().map(ToString::to_string);
        text.collect::<Vec<_>>()
    })?;
    let environment = |name: &str| std::env::var(name).ok();
    let verifier = Verifier::with_environment(policy.issuers.clone(), &environment)
        .map_err(|error| vec![error.to_string()])?;
    let audit_key = audit_key(&policy).map_err(|error| vec![error])?;
    Ok(Shared::new(policy, verifier, audit_key))
}

/// The key of the hash that names callers, if the policy has one.
fn audit_key(policy: &Policy) -> Result<Option<String>, String> {
    let Some(name) = &policy.audit.key_env else {
        return Ok(None);
    };
    match std::env::var(name) {
        Ok(key) if !key.is_empty() => Ok(Some(key)),
        _ => Err(format!(
            "audit.key_env: the VM's environment has no variable `{name}`; set it under \
             `vm_config.environment_variables`"
        )),
    }
}

/// Refuses everything: there is no policy.
struct Unconfigured;

impl Context for Unconfigured {}

impl HttpContext for Unconfigured {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        host::reply(&Reply {
            status: 503,
            headers: Vec::new(),
            body: b"no policy".to_vec(),
        });
        Action::Pause
    }
}
