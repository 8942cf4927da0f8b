"""Signing keys of the test issuers, made once per process."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"ES256": (ec.SECP256R1, "P-256", 32), "ES384": (ec.SECP384R1, "P-384", 48)}


def b64url(data: bytes) -> str:
    """Base64url without padding, as JOSE wants it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int, length: int | None = None) -> str:
    return b64url(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


@dataclass(frozen=True)
class SigningKey:
    """A private key and the algorithm it is used with."""

    algorithm: str
    kid: str
    private: PrivateKey

    def sign(self, data: bytes) -> bytes:
        """The JWS signature of `data`."""
        match self.private:
            case rsa.RSAPrivateKey():
                return self.private.sign(data, self._padding(), self._hash())
            case ec.EllipticCurvePrivateKey():
                r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(self._hash())))
                length = CURVES[self.algorithm][2]
                return r.to_bytes(length, "big") + s.to_bytes(length, "big")
            case _:
                return self.private.sign(data)

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """The public key as an issuer publishes it."""
        return {"kid": self.kid, "alg": self.algorithm, "use": "sig", **self._public(), **changes}

    def public_pem(self) -> bytes:
        """The public key in the form HMAC confusion attacks use as a secret."""
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def _hash(self) -> hashes.HashAlgorithm:
        return HASHES[self.algorithm[-3:]]()

    def _padding(self) -> padding.AsymmetricPadding:
        if self.algorithm.startswith("PS"):
            return padding.PSS(padding.MGF1(self._hash()), padding.PSS.DIGEST_LENGTH)
        return padding.PKCS1v15()

    def _public(self) -> dict[str, str]:
        match self.private:
            case rsa.RSAPrivateKey():
                numbers = self.private.public_key().public_numbers()
                return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
            case ec.EllipticCurvePrivateKey():
                point = self.private.public_key().public_numbers()
                _, name, length = CURVES[self.algorithm]
                return {
                    "kty": "EC",
                    "crv": name,
                    "x": _number(point.x, length),
                    "y": _number(point.y, length),
                }
            case _:
                raw = self.private.public_key().public_bytes(
                    serialization.Encoding.Raw, serialization.PublicFormat.Raw
                )
                return {"kty": "OKP", "crv": "Ed25519", "x": b64url(raw)}


def key(algorithm: str, kid: str | None = None, bits: int = 2048) -> SigningKey:
    """The key of this name; the same one every time."""
    return _key(algorithm, kid or algorithm.lower(), bits)


@cache
def _key(algorithm: str, kid: str, bits: int) -> SigningKey:
    if algorithm.startswith(("RS", "PS")):
        # One RSA key serves all digests: making keys is the slow part.
        family = "rsa" if kid == algorithm.lower() else kid
        return SigningKey(algorithm, kid, _rsa(family, bits))
    if algorithm in CURVES:
        return SigningKey(algorithm, kid, ec.generate_private_key(CURVES[algorithm][0]()))
    return SigningKey(algorithm, kid, ed25519.Ed25519PrivateKey.generate())


@cache
def _rsa(_family: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def key_set(*keys: SigningKey) -> dict[str, Any]:
    """A JWK set (RFC 7517 section 5)."""
    return {"keys": [each.jwk() for each in keys]}
