"""Several MCP servers behind one listener, each with a policy of its own."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from .harness import client, tokens
from .harness.answers import json_answer, listing
from .harness.client import Request
from .harness.envoy import Envoy
from .harness.envoy_config import Cluster, Listener
from .harness.gateway import Exchange, Gateway
from .harness.issuer import Issuer, keys_answer
from .harness.keys import key
from .harness.messages import LEGACY, HeaderList, call, message, post
from .harness.policy import CLAIMS, WELL_KNOWN, fetched, policy
from .harness.upstream import Upstream
from .harness.variants import ERAS

CRM = "https://tools.example.com/crm/mcp"
HR = "https://tools.example.com/hr/mcp"
PARTNER = "https://partner.example.com/hr/mcp"
SHADOW = "https://tools.example.com/shadow/mcp"
HR_ISSUER = "https://hr.example.com"
CRM_KEYS, HR_KEYS = "/keys/policies/crm", "/keys/policies/hr"

POLICIES = [
    policy(resource=CRM, issuers=[fetched(CRM_KEYS)], origins=["https://crm-app.example.com"]),
    {
        "resource": HR,
        "issuers": [fetched(HR_KEYS, name=HR_ISSUER)],
        "roles": {"support": {"tools": ["hr.holidays"]}, "hr": {"tools": ["hr.*"]}},
        "scopes": ["hr:read"],
        "origins": ["https://hr-app.example.com"],
    },
    {
        "resource": PARTNER,
        "issuers": [{"issuer": HR_ISSUER, "jwks": {"cluster": "dead", "path": "/keys"}, "identity": CLAIMS}],
        "roles": {"*": {"tools": ["*"]}},
    },
    policy(resource=SHADOW, mode="observe"),
]

# `hr` is the server of everything but the CRM.
ROUTES = tuple(
    {"match": {"prefix": prefix}, "route": {"cluster": "hr", "timeout": "20s"}}
    for prefix in ("/hr/", "/shadow/", "/unknown/")
)
LISTENERS = {"tools": Listener({"policies": POLICIES}, routes=ROUTES)}
CLUSTERS: dict[str, Cluster] = {}
SERVERS: list[Upstream] = []


def prepare() -> None:
    """Start the second server."""
    SERVERS.append(Upstream())
    CLUSTERS["hr"] = Cluster(SERVERS[0].port)


@pytest.fixture(autouse=True)
def keys(issuer: Issuer) -> None:
    """Each policy's issuer has keys of its own."""
    issuer.paths[CRM_KEYS] = keys_answer(key("ES256", "crm"))
    issuer.paths[HR_KEYS] = keys_answer(key("ES256", "hr"))


class Site:
    """The listener, with both servers behind it."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.servers = gateway, (gateway.upstream, SERVERS[0])

    def send(self, request: Request) -> Exchange:
        """Send a request; only the server of its path may receive it."""
        crm, hr = self.servers
        own, other = (crm, hr) if str(request.path).startswith("/crm/") else (hr, crm)
        self.gateway.upstream = own
        other.take()
        exchange = self.gateway.send(request)
        assert other.take().bytes == 0
        return exchange


@pytest.fixture
def site(gateway: Gateway) -> Site:
    """Both servers, as if new."""
    SERVERS[0].reset()
    return Site(gateway)


def crm_token(**changes: Any) -> str:
    """A token for the CRM."""
    return tokens.manager(signer=key("ES256", "crm"), **{"aud": CRM, **changes})


def hr_token(*roles: str, **changes: Any) -> str:
    """A token for the other server."""
    claims = {"aud": HR, "iss": HR_ISSUER, "scope": "hr:read", **changes}
    return tokens.token(*roles, signer=key("ES256", "hr"), **claims)


def to(path: str, host: str, body: dict[str, Any], token: str | None, era: str = LEGACY) -> Request:
    """A call of one of the servers."""
    request = post(body, token, era, [("host", host)])
    request.path = path
    return request


def at_crm(body: dict[str, Any], token: str | None, era: str = LEGACY) -> Request:
    """A call of the CRM."""
    return to("/crm/mcp", "tools.example.com", body, token, era)


def at_hr(body: dict[str, Any], token: str | None, era: str = LEGACY, host: str = "tools.example.com") -> Request:
    """A call of the other server."""
    return to("/hr/mcp", host, body, token, era)


def reason(exchange: Exchange) -> str:
    """Why it was refused."""
    return exchange.record["reason"]


@ERAS
def test_each_server_has_roles_of_its_own(site: Site, era: str) -> None:
    customer, holidays = call(era, "crm.get_customer"), call(era, "hr.holidays")
    exchange = site.send(at_crm(customer, crm_token(), era))
    exchange.forwarded(customer)
    assert exchange.record["policy"] == CRM
    exchange = site.send(at_hr(holidays, hr_token("hr"), era))
    exchange.forwarded(holidays)
    assert exchange.record["policy"] == HR
    site.send(at_crm(holidays, crm_token(), era)).refused(200, -32602, "blocked")
    site.send(at_hr(customer, hr_token("hr"), era)).refused(200, -32602, "blocked")


@ERAS
def b39_a_token_for_one_server_is_refused_at_the_other(site: Site, era: str) -> None:
    customer, holidays = call(era, "crm.get_customer"), call(era, "hr.holidays")
    exchange = site.send(at_hr(holidays, crm_token(), era)).refused(401, None, "needs_review")
    assert reason(exchange) == "token_issuer_untrusted"
    challenge = exchange.response.header("www-authenticate") or ""
    assert f'resource_metadata="https://tools.example.com{WELL_KNOWN}/hr/mcp"' in challenge
    exchange = site.send(at_crm(customer, hr_token("manager"), era)).refused(401, None, "needs_review")
    assert reason(exchange) == "token_issuer_untrusted"
    # The right issuer, and the other server's name in the token.
    exchange = site.send(at_crm(customer, crm_token(aud=HR), era)).refused(401, None, "needs_review")
    assert reason(exchange) == "token_audience_wrong"
    for audience in ([HR], [CRM, HR]):
        exchange = site.send(at_crm(customer, crm_token(aud=audience), era))
        assert (exchange.status == 200) == (CRM in audience)


def b38_keys_of_one_policy_are_not_the_others(site: Site) -> None:
    """Also not once both were fetched."""
    site.send(at_crm(call(LEGACY, "crm.get_customer"), crm_token())).forwarded()
    site.send(at_hr(call(LEGACY, "hr.holidays"), hr_token("hr"))).forwarded()
    forged = tokens.token("hr", signer=key("ES256", "crm"), iss=HR_ISSUER, aud=HR, scope="hr:read")
    site.send(at_hr(call(LEGACY, "hr.holidays"), forged)).refused({401, 503})
    forged = tokens.manager(signer=key("ES256", "hr"), aud=CRM)
    site.send(at_crm(call(LEGACY, "crm.get_customer"), forged)).refused({401, 503})


def b39_a_verified_token_is_remembered_for_its_policy_only(site: Site) -> None:
    token = crm_token()
    for _ in range(2):
        site.send(at_crm(call(LEGACY, "crm.get_customer"), token)).forwarded()
        site.send(at_hr(call(LEGACY, "hr.holidays"), token)).refused(401)


def test_lists_are_filtered_by_the_servers_own_roles(site: Site) -> None:
    tools = [{"name": name} for name in ("crm.get_customer", "hr.holidays", "hr.salaries")]
    for request, visible in (
        (at_hr(message(LEGACY, "tools/list"), hr_token("support")), ["hr.holidays"]),
        (at_crm(message(LEGACY, "tools/list"), crm_token()), ["crm.get_customer"]),
    ):
        for server in site.servers:
            server.answer = json_answer(listing("tools", tools))
        shown = site.send(request).response.rpc()["result"]["tools"]
        assert [tool["name"] for tool in shown] == visible


def test_of_servers_at_one_path_the_host_decides(site: Site) -> None:
    body = call(LEGACY, "hr.holidays")
    exchange = site.send(at_hr(body, hr_token("hr"), host="tools.example.com"))
    exchange.forwarded(body)
    # The partner's keys cannot be fetched; other policies do not wait for them.
    exchange = site.send(at_hr(body, hr_token("hr", aud=PARTNER), host="partner.example.com")).refused(503)
    assert exchange.record["policy"] == PARTNER
    site.send(at_hr(body, hr_token("hr"))).forwarded(body)


NOBODYS = [
    ("/", "tools.example.com"),
    ("/mcp", "tools.example.com"),
    ("/crm/mcp/", "tools.example.com"),
    ("/crm//mcp", "tools.example.com"),
    ("/CRM/mcp", "tools.example.com"),
    ("/unknown/mcp", "tools.example.com"),
    ("/hr/mcp", "unknown.example.com"),
    ("/hr/mcp", "tools.example.com:8443"),
    ("/hr/mcp", "tools.example.com.evil.example"),
    ("/hr/mcp", "partner.example.com."),
]


@pytest.mark.parametrize("path, host", NOBODYS)
def b14_a_request_that_matches_no_policy_is_refused(site: Site, path: str, host: str) -> None:
    """Whatever token it has, and although one of the policies only observes."""
    for token in (None, crm_token(), hr_token("hr", aud=[CRM, HR, PARTNER, SHADOW])):
        for origin in ([], [("origin", "https://crm-app.example.com")]):
            request = to(path, host, call(LEGACY, "hr.holidays"), token)
            request.headers.extend(origin)
            exchange = site.send(request).refused(404, None, "blocked")
            assert reason(exchange) == "not_found"
            assert "policy" not in exchange.record
            assert exchange.response.header("access-control-allow-origin") is None


def test_one_policy_may_observe(site: Site) -> None:
    request = to("/shadow/mcp", "tools.example.com", call(LEGACY, "crm.purge"), None)
    exchange = site.send(request)
    assert exchange.received.path == "/shadow/mcp"
    assert (exchange.record["decision"], exchange.record["policy"]) == ("draft", SHADOW)


def metadata(site: Site, suffix: str, host: str) -> str | None:
    """Whose metadata is there."""
    exchange = site.send(Request("GET", f"{WELL_KNOWN}{suffix}", [("host", host)]))
    assert exchange.upstream.bytes == 0
    return exchange.response.json["resource"] if exchange.status == 200 else None


def test_each_server_has_metadata_of_its_own(site: Site) -> None:
    assert metadata(site, "/crm/mcp", "tools.example.com") == CRM
    assert metadata(site, "/hr/mcp", "tools.example.com") == HR
    assert metadata(site, "/hr/mcp", "partner.example.com") == PARTNER
    assert metadata(site, "/hr/mcp", "elsewhere.example.com") is None
    assert metadata(site, "", "partner.example.com") == PARTNER
    assert metadata(site, "", "tools.example.com") is None, "there are several"
    document = site.send(Request("GET", f"{WELL_KNOWN}/hr/mcp", [("host", "tools.example.com")])).response.json
    assert document["authorization_servers"] == [HR_ISSUER]
    assert document["scopes_supported"] == ["hr:read"]


def b43_each_server_has_pages_of_its_own(site: Site) -> None:
    def preflight(path: str, origin: str) -> int:
        headers: HeaderList = [
            ("host", "tools.example.com"),
            ("origin", origin),
            ("access-control-request-method", "POST"),
        ]
        return site.send(Request("OPTIONS", path, headers)).status

    assert preflight("/crm/mcp", "https://crm-app.example.com") == 204
    assert preflight("/hr/mcp", "https://hr-app.example.com") == 204
    assert preflight("/crm/mcp", "https://hr-app.example.com") == 403
    assert preflight("/hr/mcp", "https://crm-app.example.com") == 403


def test_decisions_are_counted_for_each_server(site: Site, envoy: Envoy) -> None:
    counters = r"^wasmcustom\.mcp_auth\.decisions\.(approved\.allowed|blocked\.not_found)"
    before = envoy.stats(counters)
    site.send(at_crm(call(LEGACY, "crm.get_customer"), crm_token())).forwarded()
    site.send(Request("GET", "/unknown/mcp")).refused(404)
    site.send(Request("DELETE", f"{WELL_KNOWN}/crm/mcp")).refused(404)
    after = envoy.stats(counters)
    changed = {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}
    assert changed == {
        "wasmcustom.mcp_auth.decisions.approved.allowed.tools_example_com_crm_mcp": 1,
        "wasmcustom.mcp_auth.decisions.blocked.not_found": 1,
        "wasmcustom.mcp_auth.decisions.blocked.not_found.tools_example_com_crm_mcp": 1,
    }


def test_requests_that_wait_for_keys_of_two_policies_go_on(
    clusters: dict[str, Cluster], directory: Any, issuer: Issuer, upstream: Upstream
) -> None:
    """Each policy fetches its own keys; a slow issuer delays the requests of its policy only."""
    issuer.paths[HR_KEYS] = keys_answer(key("ES256", "hr"))
    fetches, statuses = issuer.fetches[HR_KEYS], []
    with Envoy(directory, {"tools": Listener({"policies": POLICIES[:2]})}, clusters).checked() as envoy:
        port = envoy.ports["tools"]
        at_slow = at_hr(call(LEGACY, "hr.holidays"), hr_token("hr"))
        waiting = threading.Thread(target=lambda: statuses.append(client.send(port, at_slow).status))
        with issuer.held(HR_KEYS):
            waiting.start()
            issuer.wait_for_fetches(HR_KEYS, fetches + 1)
            assert client.send(port, at_crm(call(LEGACY, "crm.get_customer"), crm_token())).status == 200
            assert not statuses
        waiting.join()
        assert statuses == [200]


@pytest.mark.parametrize("port", ["443", "0443", "80", "0"])
def test_s7_a_host_with_a_port_that_goes_without_saying_reaches_no_server(site: Site, port: str) -> None:
    """Envoy's virtual hosts compare the text: the request could reach another server than the policy's."""
    body = call(LEGACY, "crm.get_customer")
    for host in ("tools.example.com", "TOOLS.example.com", "partner.example.com"):
        exchange = site.send(to("/crm/mcp", f"{host}:{port}", body, crm_token()))
        exchange.refused(404)
        assert reason(exchange) == "not_found"
    site.send(at_crm(body, crm_token())).forwarded()
