//! The network for the engine: etcd by its URL, and the authorization servers of connections by theirs.

use std::cell::RefCell;
use std::future::Future;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcp_auth_filter::accounts::AccountContext;
use mcp_auth_filter::effect::{Effect, Effects, Outcome, Progress, Task};
use policy::Policy;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, parse_pem};

use super::AccountsArguments;
use crate::http_agent::agent;
use crate::{Failure, files};
use base::http::{HttpRequest, HttpResponse, MAX_ANSWER};
use base::store::{StoreError, StoreNames, StoreOperation, Stored, etcd};
use base::time::UnixTime;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// etcd and the authorization servers.
pub(super) struct Network {
    policy: Rc<Policy>,
    names: StoreNames,
    etcd: etcd::Etcd,
    /// The URL of etcd, without a slash at its end.
    url: String,
    to_etcd: Agent,
    to_servers: Agent,
    leases: RefCell<etcd::Leases>,
    last_error: RefCell<String>,
}

impl Network {
    pub(super) fn new(
        arguments: &AccountsArguments,
        context: &AccountContext,
    ) -> Result<Self, Failure> {
        let url = url::Url::parse(&arguments.store);
        if !url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.path() == "/") {
            return Err(Failure::usage(
                "--store is not the URL of an etcd",
                "write it as http://HOST:PORT or https://HOST:PORT",
            ));
        }
        let Some(etcd) = context.policy.store.clone() else {
            return Err(Failure::usage(
                "the policy keeps accounts in the memory of each Envoy (`store: memory`)",
                "only accounts in etcd can be listed; a restart of Envoy ends those in its memory",
            ));
        };
        let (roots, client) = etcd_tls(arguments)?;
        Ok(Self {
            names: context.sealer.store_names(),
            policy: Rc::clone(&context.policy),
            etcd,
            url: arguments.store.trim_end_matches('/').to_owned(),
            to_etcd: agent(roots, client, TIMEOUT),
            to_servers: agent(RootCerts::PlatformVerifier, None, TIMEOUT),
            leases: RefCell::default(),
            last_error: RefCell::default(),
        })
    }

    /// Why the last request failed.
    pub(super) fn last_error(&self) -> String {
        self.last_error.borrow().clone()
    }

    /// Runs a task of the engine to its end.
    pub(super) fn run<T, F>(&self, task: impl FnOnce(Effects) -> F) -> T
    where
        F: Future<Output = T> + 'static,
    {
        let (mut task, mut progress) = Task::start(now(), task);
        loop {
            let effect = match progress {
                Progress::Done(value) => return value,
                Progress::Waits(effect) => effect,
            };
            let outcome = match effect {
                Effect::Store(operation) => Outcome::Store(self.store(operation)),
                Effect::Call(request) => Outcome::Call(self.call(&request)),
                // Listing and ending have no other effects.
                _ => Outcome::Paused,
            };
            progress = task.resume(outcome, now());
        }
    }

    fn store(&self, operation: StoreOperation) -> Result<Stored, StoreError> {
        let leases = &mut self.leases.borrow_mut();
        let operation = self.names.name(operation);
        let (mut job, mut request) =
            etcd::Job::start(&self.etcd, leases, operation, now().whole_seconds());
        loop {
            let answer = self.send(&self.to_etcd, &self.url, &request);
            match job.answered(leases, answer.as_ref()) {
                etcd::EtcdProgress::Call(next) => request = next,
                etcd::EtcdProgress::Over(stored) => return stored,
            }
        }
    }

    /// Calls an authorization server. The policy names clusters of Envoy; here the server is reached by its
    /// name, with the scheme of the connection's URL.
    fn call(&self, request: &HttpRequest) -> Option<HttpResponse> {
        let host = header(request, ":authority")?;
        // A name of a cluster is no host, and the request has secrets.
        let known = self.policy.connections.iter();
        let known = known.filter_map(|connection| connection.oauth());
        let known = known.filter_map(|connection| url::Url::parse(&connection.issuer).ok());
        let mut known = known.filter(|url| authority(url).as_deref() == Some(host));
        let scheme = known.next()?.scheme().to_owned();
        self.send(&self.to_servers, &format!("{scheme}://{host}"), request)
    }

    fn send(&self, agent: &Agent, origin: &str, request: &HttpRequest) -> Option<HttpResponse> {
        let path = header(request, ":path")?;
        let mut post = agent.post(format!("{origin}{path}"));
        for (name, value) in &request.headers {
            if !name.starts_with(':') {
                post = post.header(*name, value);
            }
        }
        let answered = post.send(&request.body).and_then(|mut answer| {
            let limit = u64::try_from(request.max_answer.unwrap_or(MAX_ANSWER)).unwrap_or(u64::MAX);
            let body = answer.body_mut().with_config().limit(limit).read_to_vec()?;
            let content_type = answer.headers().get("content-type");
            let content_type = content_type
                .and_then(|it| it.to_str().ok())
                .map(str::to_owned);
            Ok(HttpResponse {
                status: answer.status().as_u16(),
                content_type,
                body,
            })
        });
        match answered {
            Ok(answer) => {
                if answer.status != 200 {
                    self.last_error
                        .replace(format!("answered with status {}", answer.status));
                }
                Some(answer)
            }
            Err(error) => {
                self.last_error.replace(error.to_string());
                None
            }
        }
    }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let mut headers = request.headers.iter();
    let found = headers.find(|(each, _)| *each == name);
    found.map(|(_, value)| value.as_str())
}

/// The host and port of a URL, as `:authority` has them.
fn authority(url: &url::Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

fn now() -> UnixTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime::from_duration(now.unwrap_or_default())
}

/// The certificates for etcd.
fn etcd_tls(arguments: &AccountsArguments) -> Result<(RootCerts, Option<ClientCert>), Failure> {
    let roots = match &arguments.ca {
        Some(path) => RootCerts::new_with_certs(&certificates(path)?),
        None => RootCerts::PlatformVerifier,
    };
    let client = match (&arguments.cert, &arguments.key) {
        (Some(cert), Some(key)) => {
            let text = files::read_text(key)?;
            let private = PrivateKey::from_pem(text.as_bytes());
            let private = private.map_err(|_| no_pem(key, "private key"))?;
            Some(ClientCert::new_with_certs(&certificates(cert)?, private))
        }
        _ => None,
    };
    Ok((roots, client))
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let text = files::read_text(path)?;
    let items = parse_pem(text.as_bytes()).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let found: Vec<_> = items.collect();
    match found.is_empty() {
        true => Err(no_pem(path, "certificate")),
        false => Ok(found),
    }
}

fn no_pem(path: &Path, expected: &str) -> Failure {
    Failure::usage(
        format!("{} has no {expected} in PEM", files::name(path)),
        "name a file in PEM",
    )
}
