//! One plugin configuration in one worker.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel};

use super::capabilities;
use super::configuration;
use super::host_calls;
use super::key_uses;
use super::report_load;
use super::shared::Shared;
use super::signature_check;
use super::stream::StreamContext;
use crate::accounts::assigned::AssignedCredentials;
use crate::accounts::token_exchange::TokenExchanger;
use crate::accounts::{Clients, Random};
use crate::consent::webhook::WebhookKeys;
use crate::credential::Credential;
use crate::decision_point::DecisionPoints;
use crate::engine::{Engine, Secrets};
use crate::held::HeldBytes;
use crate::seal_keys::sealer;
use base::http::Reply;
use oauth::Verifier;
use policy::{Authorization, Policies, Policy, PolicyError};

/// The root context.
pub(super) struct Root {
    id: u32,
    policies: Option<Rc<Policies<Rc<Shared>>>>,
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _: usize, size: usize, _: usize) {
        // A stream may have called while the answer to another call was handled.
        self.each(|shared| shared.answered(token, size));
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let missing = capabilities::missing(self.id);
        for name in &missing {
            let advice = "add it to the plugin's capability_restriction_config";
            let line = format!("policy not loaded: Envoy refuses the call `{name}`; {advice}");
            host_calls::log(LogLevel::Critical, &line);
        }
        if !missing.is_empty() {
            return false;
        }
        let configuration = host_calls::buffer(BufferType::PluginConfiguration, size);
        match configuration::to_json(&configuration)
            .map_err(|error| vec![error])
            .and_then(|json| Ok((load(&json, self.id)?, json)))
        {
            Ok((policies, json)) => {
                Shared::start();
                report_load::loaded(&json, &policies);
                self.policies = Some(Rc::new(policies));
                true
            }
            Err(errors) => {
                let errors = errors.iter().map(ToString::to_string).collect();
                for error in policy::report(errors) {
                    host_calls::log(LogLevel::Error, &format!("policy not loaded: {error}"));
                }
                report_load::refused();
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
    /// A root context without a policy.
    pub(super) fn new(id: u32) -> Self {
        Self { id, policies: None }
    }

    fn each(&self, act: impl Fn(&Shared)) {
        let policies = self.policies.iter();
        policies
            .flat_map(|all| all.iter())
            .for_each(|shared| act(shared));
    }
}

fn load(json: &[u8], root: u32) -> Result<Policies<Rc<Shared>>, Vec<PolicyError>> {
    let held = HeldBytes::default();
    let host_check = signature_check::find();
    Policies::parse(json)?.try_map(|policy| {
        let environment = |name: &str| std::env::var(name).ok();
        let verifier = Verifier::with_environment(policy.issuers.clone(), &environment)
            .map_err(|error| vec![PolicyError::new(error.path(), error.to_string())])?
            .with_random(random)
            .with_host_check(host_check);
        let secrets = secrets(&policy).map_err(|error| vec![error])?;
        let mut engine = Engine::new(Rc::new(policy), secrets, verifier);
        engine.held = held.clone();
        Ok(Rc::new(Shared::new(engine, root)))
    })
}

/// The policy's secrets from the environment of the VM.
fn secrets(policy: &Policy) -> Result<Secrets, PolicyError> {
    let audit_key = match &policy.audit.key_env {
        Some(name) => Some(variable("audit.key_env", name)?.into()),
        None => None,
    };
    let sealer = match &policy.seal {
        Some(seal) => {
            let sealer = sealer(seal, variable)?;
            key_uses::log(&policy.resource, seal, &sealer);
            Some(Rc::new(sealer))
        }
        None => None,
    };
    let environment = |name: &str| std::env::var(name).ok();
    let credential = match &policy.upstream.authorization {
        Authorization::Static(credential) => {
            const KEY: &str = "upstream.credential_env";
            let secret = variable(KEY, &credential.env)?;
            let credential = Credential::new(&credential.scheme, &secret)
                .map_err(|error| PolicyError::new(KEY, error.to_string()))?;
            Some(Rc::new(credential))
        }
        Authorization::Connection(_)
        | Authorization::Exchange(_)
        | Authorization::Pass
        | Authorization::Remove => None,
    };
    let exchanger = match &policy.upstream.authorization {
        Authorization::Exchange(exchange) => {
            let clients = Clients::of(policy, &|name| std::env::var(name).ok())?;
            let clients = clients.with_random(Random(random));
            Some(Rc::new(TokenExchanger::new((**exchange).clone(), clients)))
        }
        _ => None,
    };
    let decision_points = DecisionPoints::of(policy, |written| {
        let secret = environment_variable(&written.env)?;
        Credential::new(&written.scheme, &secret).map_err(|error| error.to_string())
    });
    let decision_points = decision_points
        .map_err(|(rule, error)| PolicyError::new(format!("{rule}.credential_env"), error))?;
    let store_names = sealer.as_ref().map(|sealer| sealer.store_names());
    Ok(Secrets {
        audit_key,
        store_names: store_names.unwrap_or_default(),
        sealer,
        credential,
        clients: Rc::new(Clients::of(policy, &environment)?.with_random(Random(random))),
        assigned: AssignedCredentials::of(policy, &environment)?,
        random: Random(random),
        exchanger,
        webhook_keys: WebhookKeys::of(policy, variable, |key, error| {
            PolicyError::new(key, error.to_string())
        })?,
        decision_points: decision_points.map(Rc::new),
    })
}

/// Random bytes of the host.
fn random() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

fn variable(key: &str, name: &str) -> Result<String, PolicyError> {
    environment_variable(name).map_err(|message| PolicyError::new(key, message))
}

fn environment_variable(name: &str) -> Result<String, String> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(format!(
            "the VM's environment has no variable `{name}`; set it under \
             `vm_config.environment_variables`"
        )),
    }
}

/// Refuses all requests: there is no policy.
struct Unconfigured;

impl Context for Unconfigured {}

impl HttpContext for Unconfigured {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        host_calls::reply(&Reply {
            status: 503,
            headers: Vec::new(),
            body: b"no policy".to_vec(),
        });
        Action::Pause
    }
}
