//! The check of signatures by Envoy's own library, through the foreign function `verify_signature`.

use prost::Message;
use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;

use super::host_calls;
use oauth::{HostCheck, HostSignature, is_reliable};

const FUNCTION: &str = "verify_signature";

/// `envoy.source.extensions.common.wasm.VerifySignatureArguments`.
#[derive(Clone, PartialEq, Message)]
struct VerifySignatureArguments {
    #[prost(string, tag = "1")]
    hash_function: String,
    #[prost(bytes = "vec", tag = "2")]
    public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    text: Vec<u8>,
}

/// `envoy.source.extensions.common.wasm.VerifySignatureResult`.
#[derive(Clone, PartialEq, Message)]
struct VerifySignatureResult {
    #[prost(bool, tag = "1")]
    result: bool,
}

/// The host's check, if the host has one that gives the right answers. Logs which one is used.
pub(super) fn find() -> Option<HostCheck> {
    let found: Option<HostCheck> = is_reliable(check).then_some(check);
    let checker = match found {
        Some(_) => "Envoy's `verify_signature`",
        None => "the module: Envoy offers no `verify_signature` that can be used",
    };
    let line =
        format!("signatures by RSA (RS256, RS384, RS512) and ECDSA are checked by {checker}");
    host_calls::log(LogLevel::Info, &line);
    found
}

fn check(given: &HostSignature<'_>) -> Option<bool> {
    let arguments = VerifySignatureArguments {
        hash_function: given.hash.to_owned(),
        public_key: given.key.to_vec(),
        signature: given.signature.to_vec(),
        text: given.text.to_vec(),
    };
    let answer = hostcalls::call_foreign_function(FUNCTION, Some(&arguments.encode_to_vec()));
    // A message with only default values has no bytes.
    let answer = answer.ok()?.unwrap_or_default();
    let answer = VerifySignatureResult::decode(answer.as_slice()).ok()?;
    Some(answer.result)
}
