//! Signature algorithms and token types.

use serde::Deserialize;

/// Signature algorithms (RFC 7518, RFC 8037). Only asymmetric ones: a server that can check a signature
/// made with a shared secret could also sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "the names are the registered ones")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl Algorithm {
    /// All algorithms that a policy may accept.
    pub const ALL: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// The algorithm that `alg` names, exactly as registered. `Ed25519` is RFC 9864's name of `EdDSA` with
    /// the one curve that is accepted.
    pub fn named(name: &str) -> Option<Self> {
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }
}

/// The `typ` headers of access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TokenType {
    /// An access token by RFC 9068.
    #[serde(rename = "at+jwt")]
    AccessToken,
    /// `JWT`: the value of most issuers.
    #[serde(rename = "JWT")]
    Jwt,
    /// No `typ`.
    #[serde(rename = "absent")]
    Absent,
}

impl TokenType {
    /// The type that `typ` names. `None`: no access token has this `typ`. Case does not matter (RFC 7515
    /// section 4.1.9), and `at+jwt` may have the prefix `application/` (RFC 9068 section 4).
    pub fn named(typ: Option<&str>) -> Option<Self> {
        let Some(typ) = typ else {
            return Some(Self::Absent);
        };
        match typ.to_ascii_lowercase().as_str() {
            "at+jwt" | "application/at+jwt" => Some(Self::AccessToken),
            "jwt" => Some(Self::Jwt),
            _ => None,
        }
    }
}
