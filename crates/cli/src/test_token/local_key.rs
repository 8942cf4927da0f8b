//! A private key on this machine, for tokens for tests.

use std::io::Write;
use std::path::Path;

use clap::ValueEnum;
use oauth::signing::SigningKey;
use oauth::{Algorithm, KeySource};
use serde_json::Value;

use crate::{Failure, explain, files};

/// An algorithm of local keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum KeyAlgorithm {
    /// ECDSA with P-256.
    #[value(name = "ES256")]
    Es256,
    /// Ed25519.
    #[value(name = "EdDSA")]
    EdDsa,
    /// RSA with SHA-256.
    #[value(name = "RS256")]
    Rs256,
}

impl From<KeyAlgorithm> for Algorithm {
    fn from(algorithm: KeyAlgorithm) -> Self {
        match algorithm {
            KeyAlgorithm::Es256 => Self::ES256,
            KeyAlgorithm::EdDsa => Self::EdDSA,
            KeyAlgorithm::Rs256 => Self::RS256,
        }
    }
}

/// The key, from its file or new.
///
/// Returns it with notes for the user. `wanted`: its algorithm; `accepted`: those of the policy.
pub(super) fn local_key(
    path: &Path,
    wanted: Option<KeyAlgorithm>,
    accepted: &[Algorithm],
) -> Result<(SigningKey, Vec<String>), Failure> {
    let wanted = wanted.map(Algorithm::from);
    let name = files::name(path);
    let mut notes = Vec::new();
    let key = if path.exists() {
        let pem = files::read_text(path)?;
        notes.extend(readable_by_others(path));
        SigningKey::from_pem(&pem).map_err(|error| {
            Failure::usage(
                format!("{name}: {error}"),
                "name another file with --key: a new key is written to it",
            )
        })?
    } else {
        let supported = [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256];
        let first = accepted
            .iter()
            .find(|algorithm| supported.contains(algorithm));
        let algorithm = wanted.or(first.copied());
        let key = SigningKey::generate(algorithm.unwrap_or(Algorithm::ES256));
        let key = key.map_err(explain::cannot_sign)?;
        write_key(path, &key)?;
        notes.push(format!(
            "wrote a new {} key to {name}",
            key.algorithm().name()
        ));
        key
    };
    if let Some(wanted) = wanted.filter(|wanted| *wanted != key.algorithm()) {
        return Err(Failure::usage(
            format!(
                "{name} has a key for {}, not for {}",
                key.algorithm().name(),
                wanted.name()
            ),
            "name another file with --key: a new key is written to it",
        ));
    }
    if !accepted.contains(&key.algorithm()) {
        let accepted: Vec<&str> = accepted.iter().map(|algorithm| algorithm.name()).collect();
        return Err(Failure::usage(
            format!(
                "the policy does not accept {}, the algorithm of {name}",
                key.algorithm().name()
            ),
            format!(
                "it accepts {}: name another file with --key, and one of ES256, EdDSA and RS256 with --algorithm",
                accepted.join(", ")
            ),
        ));
    }
    let id = key.thumbprint();
    Ok((key.with_key_id(&id), notes))
}

/// Writes a key to a new file that only its owner may read.
fn write_key(path: &Path, key: &SigningKey) -> Result<(), Failure> {
    let pem = key.to_pem().map_err(explain::cannot_sign)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(pem.reveal().as_bytes()));
    written.map_err(|error| {
        Failure::usage(
            format!("cannot write {}: {error}", files::name(path)),
            "check the directory and its permissions, or name another file with --key",
        )
    })
}

/// A note if other users of this machine may read the key.
#[cfg(unix)]
fn readable_by_others(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o077 != 0).then(|| {
        let name = files::name(path);
        format!("other users may read {name}: run `chmod 600 {name}`")
    })
}

#[cfg(not(unix))]
fn readable_by_others(_: &Path) -> Option<String> {
    None
}

/// Where the filter gets the key from, if it does not have it.
pub(super) fn key_note(keys: &KeySource, key: &SigningKey, file: &Path) -> Option<String> {
    let how = format!(
        "`mcp-auth token --jwks --key {}` prints its key set",
        files::name(file)
    );
    match keys {
        KeySource::Inline(keys) => {
            let keys: Value = serde_json::from_str(keys).ok()?;
            let mut all = keys
                .get("keys")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let own = key.jwk();
            let is_own = |other: &Value| {
                ["x", "y", "n"]
                    .iter()
                    .all(|part| other.get(part) == own.get(part))
            };
            (!all.any(is_own)).then(|| {
                format!("the policy does not have this key under `jwks: {{inline: ...}}`: {how}")
            })
        }
        KeySource::Fetch(fetch) => Some(format!(
            "the policy reads keys from the cluster `{}`: the filter accepts this token if that serves the key set, or \
             if a policy for tests has it under `jwks: {{inline: ...}}`; {how}",
            fetch.endpoint.cluster
        )),
    }
}
