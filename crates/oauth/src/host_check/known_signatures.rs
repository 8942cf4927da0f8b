//! Signatures that a host must be right about.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::{HostCheck, HostKey};
use crate::Algorithm;

pub(super) const TEXT: &[u8] = b"mcp-auth: a text with a signature";
pub(super) const RSA_KEY: &str = "\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAi0XtTyNfXZS0cy_S1_jdFjUFk6NLPbwJ8maAVC6gUAnpQGz1Gb3zuV\
n_en1Y9qkEL2w0IU3uHQFShV5lC0Hyh6iqiAmxO-b2QWc96d8ZvfOLTbyB2hIUXAadrfD8TEUrC-yW6wgYIuy6XncO9GxyBMDy\
fHprssYwJMF4jUCAXVL8z8vM39O0wskrDqtx9Ko75woDJDCQDiSWUz2lPP9wI6syDc-r92KmCqxeCz61CXIc9L4PfcIyUYF2Ww\
MxSi4M-Pf7fxUbiRH0n5UDVadfxsumPSBdJNqE-cPdk_TP4K2P2vgkD6MWhsVkmJQi4_XvkNQXyMGyPc8JPOdj6jlvmQIDAQAB";
pub(super) const RSA_SIGNATURE: &str = "\
NGaX0LTOGqly_4q6E1H-sHNkqPmqVFZKUl1eMXvqHS0Qw0QdQxB0kF_7S1iF9YuXl5Ay44v3cAnGAUwLpf79rNsZU-viLLfyQC\
VBA7Ofr0jv9YLK9idkuZKv_ghQoIHcEUla9gaPljhaBCUFtp33yS9vgns4MZI-AowuLVToL3ilpFfcom_DKRUzivL2lMwzLQVA\
u3NGA6OjMh8t8NnvdWUqvWBEz04FQs5YnUyt-Go_UaOdXnJamQs9J74-Yob7QWUwEzw1HemhOlg0cE7ATsA6gre_CZqFx-CEUR\
zCku_JLr3POG3zwXIVz0gfv37vIsHjk587BJQU_RrGq84_Ow";
pub(super) const RSA_PSS_SIGNATURE: &str = "\
VXlYmiSwrp_paOiWFvISm6VCIgUtPbTnfJnCN7kbDRQGzOIgXavhRfzRLUOkz9U2p1GA9U_BDGii5d19CNYlxWW8MU9J1wd-Vz\
hkEeopUlFHfiUnlps-anRgh7bei4Q-nModn9V4q458FuZLhBX_2eOWdZA1pLw8dYfr-odDUnzk6jLC2_Vj0NjOgBKNJ-2x_PmM\
mgu7nYs_4Sym5-bvnKaMMjVY13VffQ1l84l-sDW4bSD-6vKNutvzX1cc6vvT2zYN9hPbTKtF8OQtCmQEnqkXmOojqFrIF0RKG6\
4yg6LqO0sSm2He9NRLLtOc_PuctN5W0tvGFrxBrMt2afsnUw";
pub(super) const P256_KEY: &str = "\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEmuEynea1r8wlYGpDP1ObZ6B_NR031d9_5skW9X9hZwiy7Fy_XFfbN42Xr1J8zF\
pnAkHM7neBKryslRvN7vS7YQ";
pub(super) const P256_SIGNATURE: &str = "\
X9p2ivr74bCLLp2MIMIb696yl5hlZvyuITuYyio8XtBX2PhNmWt-SWIcvw6ss-6nOtkcSpMYxkLFyLmrpNMVfw";
pub(super) const P384_KEY: &str = "\
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE6DXDLzlLg8oC4geJk2N7xPmYjxfR-DaI0i908wog8EL3NxXQs7VC-EnUxwaprtCFWD\
Mc03ODZO_dr85kMIkOH592G1mg3ZH6JBrHGlX-68YS21OWt2Iz08EZTR-mX4Ba";
pub(super) const P384_SIGNATURE: &str = "\
4HDdrp9iwkI069h1_q2sC_mPD8QvDk8k9nhZSe-uikC1mhSPlELZBBZT7PHddqlgJJ9DVx1vUcmgkAFbRZJExj6OQFdYyurlnT\
Fmx_nRQDUm6kUB_FievCRNgZOQ1WWx";

/// Whether a host checks as this crate does: it accepts good signatures, and refuses all others.
pub fn is_reliable(check: HostCheck) -> bool {
    [
        (Algorithm::RS256, RSA_KEY, RSA_SIGNATURE),
        (Algorithm::ES256, P256_KEY, P256_SIGNATURE),
        (Algorithm::ES384, P384_KEY, P384_SIGNATURE),
    ]
    .into_iter()
    .all(|(algorithm, key, signature)| {
        let good = decode(signature);
        let Some(key) = HostKey::of(algorithm, decode(key)) else {
            return false;
        };
        let says =
            |text, signature: &[u8], expected| key.has_signed(text, signature, check) == expected;
        says(TEXT, &good, Some(true))
            && says(b"another text", &good, Some(false))
            && says(TEXT, &flipped(&good), Some(false))
    }) && refuses_other_kinds(check)
}

/// Whether a host refuses a signature by another hash function or padding.
fn refuses_other_kinds(check: HostCheck) -> bool {
    let key = |algorithm| HostKey::of(algorithm, decode(RSA_KEY));
    [
        (Algorithm::RS512, RSA_SIGNATURE),
        (Algorithm::RS256, RSA_PSS_SIGNATURE),
        (Algorithm::RS256, ""),
    ]
    .into_iter()
    .all(|(algorithm, signature)| {
        let said = key(algorithm).and_then(|key| key.has_signed(TEXT, &decode(signature), check));
        said == Some(false)
    })
}

/// The signature with its last bit changed.
fn flipped(signature: &[u8]) -> Vec<u8> {
    let mut flipped = signature.to_vec();
    if let Some(last) = flipped.last_mut() {
        *last ^= 1;
    }
    flipped
}

pub(super) fn decode(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap_or_default()
}
