//! Signature algorithms and token types.

use serde::Deserialize;

/// Signature algorithms (RFC 7518, RFC 8037). Asymmetric ones only: whoever can check a shared
/// secret can also sign with it.
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
    /// Every algorithm that can be accepted.
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

    /// The algorithm a token's `alg` names, exactly as registered. `EdDSA` with the one curve that is
    /// accepted has another name since RFC 9864.
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

/// What a token's `typ` header may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TokenType {
    /// An access token by RFC 9068.
    #[serde(rename = "at+jwt")]
    AccessToken,
    /// `JWT`, as most issuers write it.
    #[serde(rename = "JWT")]
    Jwt,
    /// No `typ` at all.
    #[serde(rename = "absent")]
    Absent,
}

impl TokenType {
    /// The type a token's `typ` names, if it is one that an access token can have. Case does not
    /// matter (RFC 7515 section 4.1.9), and `application/` may stand before `at+jwt` (RFC 9068
    /// section 4).
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
