//! One plugin configuration in one worker.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel};

use super::configuration;
use super::fetch::Shared;
use super::host;
use super::stream::StreamContext;
use crate::challenge::Reply;
use crate::exchange::Secrets;
use crate::identity::Verifier;
use crate::policy::Policy;
use crate::seal::Sealer;

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
    let verifier = Verifier::new(policy.issuers.clone())
        .map_err(|(issuer, error)| vec![format!("issuers[{}].jwks: {error}", issuer.0)])?;
    let secrets = secrets(&policy).map_err(|error| vec![error])?;
    Ok(Shared::new(policy, verifier, secrets))
}

/// What the policy takes from the VM's environment.
fn secrets(policy: &Policy) -> Result<Secrets, String> {
    let audit_key = match &policy.audit.key_env {
        Some(name) => Some(variable("audit.key_env", name)?.into()),
        None => None,
    };
    let sealer = match &policy.seal {
        Some(seal) => {
            let secret = variable("seal.key_env", &seal.key_env)?;
            let sealer = Sealer::new(&secret).map_err(|error| format!("seal.key_env: {error}"))?;
            Some(Rc::new(sealer))
        }
        None => None,
    };
    Ok(Secrets { audit_key, sealer })
}

fn variable(key: &str, name: &str) -> Result<String, String> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(format!(
            "{key}: the VM's environment has no variable `{name}`; set it under \
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
