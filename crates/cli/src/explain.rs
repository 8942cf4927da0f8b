//! `mcp-auth explain`: the decision about one request, made by the code that decides in the proxy.

mod log_line;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use base::time::UnixTime;
use explanation::{ExplainError, ExplainedRequest, GivenToken, RequestInputs, Surroundings};
use mcp_auth_filter::step::End;
use oauth::signing::SigningError;
use policy::Policy;
use serde_json::{Map, Value};

use crate::{CommandOutput, Failure, files, policy_file, report};

/// The arguments of `mcp-auth explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArguments {
    /// The policy, in YAML or JSON.
    #[arg(long)]
    policy: PathBuf,
    /// The caller: the claims of a token, or an introspection response, as JSON.
    ///
    /// They are not verified. Missing `iss`, `aud`, `exp` and `iat` are added. A policy with `local` does
    /// not use them.
    #[arg(long)]
    claims: Option<PathBuf>,
    /// The caller: a token, alone or as its header has it; `-` reads standard input.
    ///
    /// Its signature is checked with the key set of --jwks or of the policy. Without one, all other checks are
    /// made.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["claims", "age"])]
    token: Option<PathBuf>,
    /// The key set of the issuer, to check the signature of --token.
    #[arg(long, value_name = "FILE", requires = "token")]
    jwks: Option<PathBuf>,
    /// The request: a JSON-RPC message as the client sends it; `-` reads standard input.
    #[arg(long, required_unless_present = "log_line")]
    request: Option<PathBuf>,
    /// In place of a request: lines of the access log; `-` reads standard input. A record has no claims and no
    /// arguments, so only the roles of its caller are judged again.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["request", "claims", "token", "response", "lookup", "decision", "header", "view_as", "age"]
    )]
    log_line: Option<PathBuf>,
    /// The server's answer, to show the caller's view of it: a JSON-RPC message, or an event stream. Keys
    /// from the VM's environment are replaced by fixed ones.
    #[arg(long)]
    response: Option<PathBuf>,
    /// The server's answer to look-ups of the owners of records (`owner` under `tools`), as JSON: a JSON-RPC
    /// message, a result, or the record alone.
    #[arg(long, value_name = "FILE")]
    lookup: Option<PathBuf>,
    /// The answer of the decision point (`decide`), as JSON, for all questions. Without it, the decision point does not
    /// answer. The questions are printed.
    #[arg(long, value_name = "FILE")]
    decision: Option<PathBuf>,
    /// The policy to use if there are several, by its path or its `resource`.
    #[arg(long)]
    path: Option<String>,
    /// A header of the request that replaces the client's. `Name:` removes it.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// The view that the caller asks for, in the header that the policy has for it.
    #[arg(long, value_name = "role:NAME or user:ID")]
    view_as: Option<String>,
    /// The time since the caller signed in (`auth_time`).
    #[arg(long, value_name = "SECONDS")]
    age: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &ExplainArguments) -> Result<CommandOutput, Failure> {
    let all = [
        Some(&arguments.policy),
        arguments.request.as_ref(),
        arguments.claims.as_ref(),
        arguments.token.as_ref(),
        arguments.jwks.as_ref(),
        arguments.response.as_ref(),
        arguments.lookup.as_ref(),
        arguments.log_line.as_ref(),
        arguments.decision.as_ref(),
    ];
    refuse_two_from_stdin(&all.into_iter().flatten().collect::<Vec<_>>())?;
    let loaded = policy_file::load(&arguments.policy);
    let loaded = loaded.map_err(|failure| Failure {
        status: 2,
        ..failure
    })?;
    let (policy, _) = loaded.single(arguments.path.as_deref())?;
    let request = match (&arguments.request, &arguments.log_line) {
        (Some(request), _) => request,
        (None, Some(log)) => return log_line::explain(log, &policy, arguments.json),
        (None, None) => {
            return Err(Failure::usage(
                "there is no request",
                "give one with --request FILE",
            ));
        }
    };
    let mut headers = arguments.header.clone();
    headers.extend(view_as(arguments, &policy)?);
    let claims = arguments.claims.as_deref();
    let jwks = arguments.jwks.as_deref();
    let token = arguments.token.as_deref();
    let inputs = RequestInputs {
        claims: claims.map(read_claims).transpose()?,
        token: token.map(read_token).transpose()?,
        jwks: jwks.map(files::read_text).transpose()?,
        body: files::read(request)?,
        response: arguments.response.as_deref().map(files::read).transpose()?,
        lookup: arguments.lookup.as_deref().map(files::read).transpose()?,
        decision: arguments.decision.as_deref().map(files::read).transpose()?,
        headers,
        age: arguments.age,
    };
    let (judged, policy) = decide(policy, inputs)?;
    let source = CallerSource {
        claims: claims.map(files::name),
        keys: jwks.map_or_else(|| "the policy's key set".to_owned(), files::name),
    };
    Ok(CommandOutput {
        status: u8::from(matches!(judged.end, End::Reply(_))),
        stdout: if arguments.json {
            format!("{:#}\n", judged.to_json())
        } else {
            report::text(judged, &policy, &source)
        },
        stderr: String::new(),
    })
}

/// The files that the caller comes from.
#[derive(Debug)]
pub(crate) struct CallerSource {
    /// The file of the claims.
    pub(crate) claims: Option<String>,
    /// The key set that checked the signature of a token.
    pub(crate) keys: String,
}

/// Decides about a request, like the proxy.
pub(crate) fn decide(
    policy: Policy,
    inputs: RequestInputs,
) -> Result<(ExplainedRequest, Rc<Policy>), Failure> {
    let key = policy.audit.key_env.as_deref();
    let key = key.and_then(|name| std::env::var(name).ok());
    let surroundings = Surroundings {
        now: now(),
        audit_key: key.filter(|key| !key.is_empty()),
    };
    Ok(explanation::decide(policy, inputs, surroundings)?)
}

impl From<ExplainError> for Failure {
    fn from(error: ExplainError) -> Self {
        let next = match &error {
            ExplainError::Claims(_) => {
                "write a token's claims as one JSON object, such as {\"sub\": \"u1\"}: the middle part \
                 of a JWT, base64url-decoded"
            }
            ExplainError::NoHeader(_) => {
                "write `--header 'Name: value'`, or `--header 'Name:'` to leave one out"
            }
            ExplainError::TokenAsHeader => {
                "leave the header away; `--header 'Authorization:'` explains a request without token"
            }
            ExplainError::CallerOfPolicy => "leave --claims and --token away",
            ExplainError::NoCaller => {
                "give a token's claims with --claims FILE, or a token with --token FILE"
            }
            ExplainError::Key(_) => "give the key set of the issuer, as its `jwks_uri` has it",
            ExplainError::Signing(_) | ExplainError::Undecided => {
                "report this as a bug, with the files"
            }
        };
        Self::usage(error.to_string(), next)
    }
}

/// The failure for a token that cannot be signed.
pub(crate) fn cannot_sign(error: SigningError) -> Failure {
    ExplainError::from(error).into()
}

/// Reads a file of claims.
pub(crate) fn read_claims(path: &Path) -> Result<Map<String, Value>, Failure> {
    let claims = explanation::read_claims(&files::read(path)?);
    claims.map_err(|error| {
        let message = match &error {
            ExplainError::Claims(error) => {
                format!("{} holds no claims: {error}", files::name(path))
            }
            other => other.to_string(),
        };
        Failure::usage(message, Failure::from(error).next)
    })
}

/// Reads a file with a token, alone or as a header has it.
fn read_token(path: &Path) -> Result<GivenToken, Failure> {
    let token = GivenToken::of_text(&files::read_text(path)?);
    token.ok_or_else(|| {
        Failure::usage(
            format!("{} holds no JWT", files::name(path)),
            "only the issuer can read this token: ask its introspection endpoint, and give its answer with \
             --claims FILE",
        )
    })
}

/// The value of the header that asks for a view.
fn view_as(arguments: &ExplainArguments, policy: &Policy) -> Result<Option<String>, Failure> {
    let Some(wish) = &arguments.view_as else {
        return Ok(None);
    };
    match &policy.view_as.header {
        Some(header) => Ok(Some(format!("{header}: {wish}"))),
        None => Err(Failure::usage(
            "the policy has no header for --view-as",
            "name one with `view_as: {header: x-view-as}`, or give the claims what \
             `identity.view_as` names",
        )),
    }
}

fn refuse_two_from_stdin(paths: &[&PathBuf]) -> Result<(), Failure> {
    let from_stdin = paths.iter().filter(|path| files::is_stdin(path)).count();
    if from_stdin > 1 {
        return Err(Failure::usage(
            "standard input can be read only once",
            "give `-` for one of the files",
        ));
    }
    Ok(())
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime::from_duration(since.unwrap_or_default())
}
