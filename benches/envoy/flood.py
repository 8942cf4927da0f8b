"""What requests with made-up tokens cost, as multiples of an approved request.

Run it with `python -m benches.envoy.flood`. Approved requests, tokens that are seen for the first time
and made-up tokens take turns. The made-up tokens come as fast as Envoy answers, from one address.
"""

import argparse
import collections
import json
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass

from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

from benches.envoy import listeners, messages
from benches.envoy.load import Client
from benches.envoy.process import Envoy
from demo.proxy import ROOT

OUTPUT = ROOT / "target" / "bench-envoy"
BODY = messages.call(524)
APPROVED = 400  # requests of one round
NEW = 40
MADE_UP = 2000


@dataclass(frozen=True)
class Signer:
    """An issuer with one key. Its tokens have one algorithm."""

    algorithm: str
    key: Key

    @property
    def issuer(self) -> str:
        """The issuer's identifier."""
        return f"https://{self.algorithm.lower()}.example.com"

    def policy(self) -> dict[str, object]:
        """The issuer's entry in the policy."""
        return {
            "issuer": self.issuer,
            "jwks": {"inline": dict(KeySet([self.key]).as_dict(private=False))},
            "algorithms": [self.algorithm],
            "identity": {"organization": "org_id", "roles": "realm_access.roles"},
        }

    def request(self, number: int) -> bytes:
        """A request with a token of its own, made from this number."""
        claims = messages.claims() | {"iss": self.issuer, "jti": f"{self.algorithm}-{number}"}
        header = {"alg": self.algorithm, "typ": "JWT", "kid": self.key.kid}
        bearer = jwt.encode(header, claims, self.key, algorithms=[self.algorithm])
        return messages.request(BODY, bearer)


def signers() -> list[Signer]:
    """One issuer for each kind of key."""
    parameters = {"use": "sig"}
    return [
        Signer("RS256", RSAKey.generate_key(2048, parameters, auto_kid=True)),
        Signer("PS256", RSAKey.generate_key(2048, parameters, auto_kid=True)),
        Signer("ES256", ECKey.generate_key("P-256", parameters, auto_kid=True)),
        Signer("ES384", ECKey.generate_key("P-384", parameters, auto_kid=True)),
        Signer("EdDSA", OKPKey.generate_key("Ed25519", parameters, auto_kid=True)),
    ]


def made_up(request: bytes, number: int) -> bytes:
    """A request with the same token, but another signature: one that no other request has."""
    token = request.split(b"Bearer ", 1)[1].split(b"\r\n", 1)[0]
    header, payload, signature = token.split(b".")
    signature = signature[:20] + f"{number:08d}".encode() + signature[28:]
    # Without a body: Envoy closes the connection of a request that is refused before its body came.
    return (
        b"GET /mcp HTTP/1.1\r\nhost: crm.example.com\r\naccept: text/event-stream\r\n"
        b"mcp-protocol-version: 2025-11-25\r\nauthorization: Bearer "
        + b".".join([header, payload, signature])
        + b"\r\n\r\n"
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    issuers = signers()
    with ExitStack() as stack:
        server = stack.enter_context(Envoy(OUTPUT, "flood-server", listeners.server()))
        policies = [signer.policy() for signer in issuers]
        config = listeners.flooded(server.ports["server"], policies)
        envoy = stack.enter_context(Envoy(OUTPUT, "flooded", config))
        client = stack.enter_context(Client(envoy.ports["ours"]))
        lines = [measure(envoy, client, signer, options.rounds) for signer in issuers]
        if reloads := envoy.reloads():
            sys.exit(f"the filter crashed {reloads} times:\n{envoy.log()}")
        version = envoy.version()
    print("| algorithm | token seen for the first time | its check | made-up token | of these, checked |")
    print("|---|---:|---:|---:|---:|")
    print("\n".join(lines))
    print(f"\nEnvoy {version}: multiples of an approved request whose token was seen before.")


def measure(envoy: Envoy, client: Client, signer: Signer, rounds: int) -> str:
    """One row: medians over the rounds."""
    approved = signer.request(0)
    answer = client.once(approved)
    if answer.status != 200:
        sys.exit(f"an approved request is refused: {answer}")
    client.each([approved] * 100)
    new_shares, check_ms, flood_shares, checked = [], [], [], []
    for number in range(rounds):
        new = [signer.request(1 + number * NEW + one) for one in range(NEW)]
        flood = [made_up(approved, number * MADE_UP + one) for one in range(MADE_UP)]
        normal, statuses = cost(envoy, client, [approved] * APPROVED)
        require(set(statuses) == {200}, statuses)
        first, statuses = cost(envoy, client, new)
        require(set(statuses) == {200}, statuses)
        invented, statuses = cost(envoy, client, flood)
        require(set(statuses) <= {401, 503}, statuses)
        new_shares.append(first / normal)
        check_ms.append((first - normal) * 1000)
        flood_shares.append(invented / normal)
        checked.append(statuses[401] / MADE_UP)
        # Callers with a token that was seen before do not notice the flood. New ones from its address wait.
        require(set(cost(envoy, client, [approved] * 40)[1]) == {200}, statuses)
        time.sleep(1.1)
    medians = [statistics.median(each) for each in (new_shares, flood_shares)]
    first, flood = (f"{median:.1f}" for median in medians)
    cells = [first, f"{statistics.median(check_ms):.2f} ms", flood, f"{statistics.median(checked):.0%}"]
    return f"| {signer.algorithm} | {' | '.join(cells)} |"


def cost(
    envoy: Envoy, client: Client, requests: list[bytes]
) -> tuple[float, collections.Counter[int]]:
    """Processor seconds of each request, and the statuses."""
    before = envoy.cpu_seconds()
    statuses = client.each(requests)
    return (envoy.cpu_seconds() - before) / len(requests), statuses


def require(holds: bool, statuses: collections.Counter[int]) -> None:
    """Stops if an answer has another status than it should."""
    if not holds:
        sys.exit(f"unexpected answers: {json.dumps(statuses)}")


if __name__ == "__main__":
    main()
