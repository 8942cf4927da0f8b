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
use crate::policy::{Policies, Policy, PolicyError};

/// The root context.
#[derive(Default)]
pub(super) struct Root {
    policies: Option<Rc<Policies<Rc<Shared>>>>,
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _: usize, size: usize, _: usize) {
        self.each(|shared| shared.fetched(token, size));
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let configuration = host::buffer(BufferType::PluginConfiguration, size);
        match load(&configuration) {
            Ok(policies) => {
                Shared::start();
                self.policies = Some(Rc::new(policies));
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
        // A tick of one policy may ask for the next one soon.
        Shared::start();
        self.each(Shared::tick);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let policies = self.policies.as_ref();
        match policies.and_then(|policies| StreamContext::new(id, Rc::clone(policies))) {
            Some(stream) => Some(Box::new(stream)),
            None => Some(Box::new(Unconfigured)),
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Root {
    fn each(&self, act: impl Fn(&Shared)) {
        let policies = self.policies.iter();
        policies
            .flat_map(|all| all.iter())
            .for_each(|shared| act(shared));
    }
}

fn load(configuration: &[u8]) -> Result<Policies<Rc<Shared>>, Vec<PolicyError>> {
    Policies::parse(&configuration::to_json(configuration))?.try_map(|policy| {
        let verifier = Verifier::new(policy.issuers.clone()).map_err(|(issuer, error)| {
            let path = format!("issuers[{}].jwks", issuer.0);
            vec![PolicyError::new(path, error.to_string())]
        })?;
        let audit_key = audit_key(&policy).map_err(|error| vec![error])?;
        Ok(Rc::new(Shared::new(policy, verifier, audit_key)))
    })
}

/// The key of the hash that names callers, if the policy has one.
fn audit_key(policy: &Policy) -> Result<Option<String>, PolicyError> {
    let Some(name) = &policy.audit.key_env else {
        return Ok(None);
    };
    match std::env::var(name) {
        Ok(key) if !key.is_empty() => Ok(Some(key)),
        _ => {
            let message = format!(
                "the VM's environment has no variable `{name}`; set it under \
                 `vm_config.environment_variables`"
            );
            Err(PolicyError::new("audit.key_env", message))
        }
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
