"""Arguments and URIs that contain an owner's id contain the caller's, or are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import PROGRESS, encoded, event_stream, json_answer, listing
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.messages import LEGACY, MODERN, call, message
from .harness.policy import ARGUMENTS, TOOLS, policy
from .harness.upstream import Upstream
from .harness.variants import ERAS, STYLES

OWN, OTHER = tokens.ORGANIZATION, "org-b"

ACCOUNT = {"owner": {"is": "organization", "at": "^acct:([^:]+):"}}
NOTE = {"owner": {"is": "user", "at": "^note/([^/]+)/"}}
RESOURCE = {"owner": {"is": "organization", "at": "^crm://([^/]+)/"}}

LISTENERS = {
    "crm": Listener(
        policy(
            arguments={**ARGUMENTS, "account_ref": ACCOUNT},
            tools={
                **TOOLS,
                "crm.assign_ticket": {"arguments": {"account_ref": "keep"}},
                "crm.search_notes": {"arguments": {"ref": NOTE}},
            },
            prompts={"customer_*": {"arguments": {"customer_ref": ACCOUNT}}},
            roles={
                "support": {
                    "tools": ["crm.*"],
                    "prompts": ["customer_*"],
                    "resources": ["crm://*", "docs://*"],
                }
            },
            resources={"crm://*": RESOURCE},
        )
    ),
    "observed": Listener(policy(mode="observe", arguments={"account_ref": ACCOUNT})),
}


def send(gateway: Gateway, era: str, arguments: Any, tool: str = "crm.get_customer", **claims: Any) -> Exchange:
    """A call of a support agent."""
    return gateway.post(call(era, tool, arguments), tokens.support(**claims), era)


PASSES: dict[str, dict[str, Any]] = {
    "itself": {"account_ref": f"acct:{OWN}:7"},
    "spelled_otherwise": {"Account-Ref": f"acct:{OWN}:7"},
    "nested": {"filter": {"any": [{"accountRef": f"acct:{OWN}:7"}]}},
    "list": {"account_ref": [f"acct:{OWN}:7", f"acct:{OWN}:8"]},
    "none": {"q": f"acct:{OTHER}:7"},
}


@ERAS
@pytest.mark.parametrize("arguments", PASSES.values(), ids=PASSES)
def b28_an_argument_that_names_the_caller_passes(gateway: Gateway, era: str, arguments: Any) -> None:
    send(gateway, era, arguments).forwarded(encoded(call(era, "crm.get_customer", arguments)))


REFUSED: dict[str, dict[str, Any]] = {
    "another": {"account_ref": f"acct:{OTHER}:7"},
    "spelled_otherwise": {"accountRef": f"acct:{OTHER}:7"},
    "folded": {"\uff41ccount_ref": f"acct:{OTHER}:7"},
    "nested": {"filter": {"any": [{"account.ref": f"acct:{OTHER}:7"}]}},
    "one_of_several": {"account_ref": [f"acct:{OWN}:7", f"acct:{OTHER}:7"]},
    "in_capitals": {"account_ref": f"acct:{OWN.upper()}:7"},
    "encoded": {"account_ref": f"acct:{OWN.replace('a', '%61')}:7"},
    "longer": {"account_ref": f"acct:{OWN} :7"},
    "not_so_written": {"account_ref": OTHER},
    "not_at_the_start": {"account_ref": f"x acct:{OWN}:7"},
    "empty": {"account_ref": ""},
    "empty_list": {"account_ref": []},
    "number": {"account_ref": 7},
    "null": {"account_ref": None},
    "object": {"account_ref": {"id": f"acct:{OWN}:7"}},
    "list_in_list": {"account_ref": [[f"acct:{OWN}:7"]]},
}


@ERAS
@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED)
def b28_an_argument_that_does_not_is_refused(gateway: Gateway, era: str, arguments: Any) -> None:
    exchange = send(gateway, era, arguments).refused(200, -32602, "blocked")
    assert exchange.record["reason"] == "argument_not_owned"
    assert "account_ref" in exchange.response.rpc()["error"]["message"]
    assert "account_ref" in exchange.record["next_action"]
    assert "acct" not in str(exchange.record)


def b28_json_in_a_string_is_refused(gateway: Gateway) -> None:
    arguments = {"q": '{"account_ref": "acct:%s:7"}' % OWN}
    exchange = send(gateway, LEGACY, arguments).refused(200, -32602, "blocked")
    assert exchange.record["reason"] == "argument_in_string"


def test_a_caller_without_an_organization_names_none(gateway: Gateway) -> None:
    exchange = send(gateway, LEGACY, {"account_ref": "acct::7"}, org_id=tokens.OMIT).refused(200, -32602)
    assert exchange.record["reason"] == "argument_owner_unknown"
    assert "identity" in exchange.record["next_action"]


@ERAS
def test_a_tools_own_rule_goes_first(gateway: Gateway, era: str) -> None:
    send(gateway, era, {"account_ref": f"acct:{OTHER}:7"}, "crm.assign_ticket").forwarded()
    send(gateway, era, {"ref": f"note/{tokens.USER}/1"}, "crm.search_notes").forwarded()
    send(gateway, era, {"ref": "note/user-bob/1"}, "crm.get_customer").forwarded()
    send(gateway, era, {"ref": "note/user-bob/1"}, "crm.search_notes").refused(200, -32602)


@ERAS
def b28_prompts_too(gateway: Gateway, era: str) -> None:
    for owner in (OWN, OTHER):
        params = {"name": "customer_summary", "arguments": {"customer_ref": f"acct:{owner}:7"}}
        exchange = gateway.post(message(era, "prompts/get", params), tokens.support(), era)
        exchange.forwarded() if owner == OWN else exchange.refused(200, -32602)


def test_observe_mode_refuses_no_owner(through: Callable[[str], Gateway]) -> None:
    exchange = send(through("observed"), LEGACY, {"account_ref": f"acct:{OTHER}:7"})
    assert exchange.status == 200 and len(exchange.upstream.requests) == 1
    assert (exchange.record["would_be"], exchange.record["reason"]) == ("blocked", "argument_not_owned")


def read(gateway: Gateway, era: str, uri: str, method: str = "resources/read") -> Exchange:
    """A resource as a support agent asks for it."""
    return gateway.post(message(era, method, {"uri": uri}), tokens.support(), era)


OTHERS: dict[str, tuple[str, str]] = {
    "another": (f"crm://{OTHER}/customers/7", "resource_not_owned"),
    "in_capitals": (f"crm://{OWN.upper()}/customers/7", "resource_not_owned"),
    "behind_a_user": (f"crm://{OWN}@{OTHER}/customers/7", "resource_not_owned"),
    "nothing_there": (f"crm:///{OTHER}/customers/7", "resource_not_owned"),
    "not_so_written": (f"crm://{OTHER}", "resource_not_owned"),
    "encoded": (f"crm://{OWN.replace('a', '%61')}/customers/7", "uri_ambiguous"),
    "encoded_slash": (f"crm://{OWN}%2f..%2f{OTHER}/7", "uri_ambiguous"),
    "dots": (f"crm://{OWN}/../{OTHER}/7", "uri_ambiguous"),
    "scheme_in_capitals": (f"CRM://{OTHER}/customers/7", "uri_ambiguous"),
}


@ERAS
@pytest.mark.parametrize(("uri", "reason"), OTHERS.values(), ids=OTHERS)
def b28_a_resource_of_another_owner_does_not_exist(gateway: Gateway, era: str, uri: str, reason: str) -> None:
    exchange = read(gateway, era, uri).refused(200, -32002 if era == LEGACY else -32602, "blocked")
    assert exchange.record["reason"] == reason
    if reason == "resource_not_owned":
        assert exchange.record["evidence"][-1]["source"] == "resources.crm://*.owner"


@ERAS
def b28_own_and_ownerless_resources_are_read(gateway: Gateway, era: str) -> None:
    for uri in (f"crm://{OWN}/customers/7", f"docs://{OTHER}/7"):
        read(gateway, era, uri).forwarded()


def b17_subscriptions(gateway: Gateway) -> None:
    for method in ("resources/subscribe", "resources/unsubscribe"):
        read(gateway, LEGACY, f"crm://{OWN}/7", method).forwarded()
        read(gateway, LEGACY, f"crm://{OTHER}/7", method).refused(200, -32002)
    for owner in (OWN, OTHER):
        wanted = {"notifications": {"resourceSubscriptions": [f"crm://{OWN}/1", f"crm://{owner}/7"]}}
        exchange = gateway.post(message(MODERN, "subscriptions/listen", wanted), tokens.support(), MODERN)
        exchange.forwarded() if owner == OWN else exchange.refused(200, -32602)


def complete(gateway: Gateway, era: str, uri: str, context: Any = None, name: str = "id") -> Exchange:
    """A completion of an argument of a template."""
    params = {"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": name, "value": "o"}}
    if context is not None:
        params["context"] = {"arguments": context}
    return gateway.post(message(era, "completion/complete", params), tokens.support(), era)


TEMPLATE = "crm://{owner}/customers/{id}"


@ERAS
def b17_completions_of_the_callers_own(gateway: Gateway, era: str) -> None:
    complete(gateway, era, TEMPLATE, {"owner": OWN}).forwarded()
    complete(gateway, era, f"crm://{OWN}/customers/{{id}}").forwarded()
    complete(gateway, era, "docs://{owner}/{id}").forwarded()


@ERAS
@pytest.mark.parametrize("context", [None, {}, {"owner": OTHER}, {"Owner": OWN}, {"owner": OWN, "OWNER": OTHER}])
def b17_completions_for_another_owner(gateway: Gateway, era: str, context: Any) -> None:
    code = -32002 if era == LEGACY else -32602
    exchange = complete(gateway, era, TEMPLATE, context).refused(200, code, "blocked")
    assert exchange.record["reason"] == "resource_not_owned"


@ERAS
def b17_completions_of_owners(gateway: Gateway, era: str) -> None:
    code = -32002 if era == LEGACY else -32602
    complete(gateway, era, TEMPLATE, {"owner": OWN}, "owner").refused(200, code)
    complete(gateway, era, f"crm://{OTHER}/customers/{{id}}", {"owner": OWN}).refused(200, code)


@ERAS
@STYLES
def b26_lists_show_items_that_name_the_caller(gateway: Gateway, upstream: Upstream, era: str, style: str) -> None:
    for method, kind, key, shown, hidden in [
        ("resources/list", "resources", "uri", [f"crm://{OWN}/1", "docs://x/1"], [f"crm://{OTHER}/1", f"crm://{OTHER}"]),
        (
            "resources/templates/list",
            "resourceTemplates",
            "uriTemplate",
            [TEMPLATE, f"crm://{OWN}/{{id}}", "docs://{x}"],
            [f"crm://{OTHER}/{{id}}", "crm://{owner}"],
        ),
    ]:
        items = [{key: uri, "name": "x"} for uri in [*hidden, *shown]]
        body = encoded(listing(kind, items))
        upstream.answer = json_answer(body) if style == "json" else event_stream(PROGRESS, body)
        exchange = gateway.post(message(era, method), tokens.support(), era)
        exchange.forwarded()
        assert [item[key] for item in exchange.response.rpc()["result"][kind]] == shown
        assert exchange.record["hidden_items"] == len(hidden)


UPWARDS = [
    "../{other}/x",
    "x/../../{other}/y",
    "..;x/{other}",
    ".. /{other}",
    "..\\{other}",
    "%2e%2e/{other}",
    "..%2f{other}",
    "%252e%252e/{other}",
    "%c0%ae%c0%ae/{other}",
    "\uff0e\uff0e/{other}",
    "....//{other}",
]


@ERAS
@pytest.mark.parametrize("path", UPWARDS)
def test_s6_a_path_does_not_lead_to_another_owner(gateway: Gateway, era: str, path: str) -> None:
    arguments = {"ref": f"note/{tokens.USER}/{path.format(other='user-bob')}"}
    exchange = send(gateway, era, arguments, "crm.search_notes").refused(200, -32602, "blocked")
    assert exchange.record["reason"] == "argument_not_owned"


@pytest.mark.parametrize("path", ["2026.11/a..b/.hidden", "100%/caf%C3%A9", "x y/z", "v1.2/x"])
def test_s6_other_paths_pass(gateway: Gateway, path: str) -> None:
    send(gateway, LEGACY, {"ref": f"note/{tokens.USER}/{path}"}, "crm.search_notes").forwarded()


PARAMETERS = [
    "?user_id=E",
    "?x=1&User_Id=E",
    "?filter[user_id]=E",
    "?filter%5Buser_id%5D=E",
    "?x=1%26user_id=E",
    "?user_id[$ne]=user-anna",
    ";user_id=E",
    "/user_id=E/x",
    "#user_id=E",
    f"?organization_id={OTHER}",
    "?role=admin",
    "?impersonate=x",
    "?filter=%7B%22user_id%22:%22E%22%7D",
]


@ERAS
@pytest.mark.parametrize("parameters", PARAMETERS)
def test_s5_parameters_of_a_uri_do_not_name_another_caller(gateway: Gateway, era: str, parameters: str) -> None:
    code = -32002 if era == LEGACY else -32602
    exchange = read(gateway, era, f"crm://{OWN}/tickets{parameters}").refused(200, code, "blocked")
    assert exchange.record["reason"] == "uri_parameter_not_owned"


@ERAS
def test_s5_parameters_of_a_uri_may_name_the_caller(gateway: Gateway, era: str) -> None:
    for parameters in (f"?user_id={tokens.USER}&organizationId={OWN}", "?city=Berlin&sort=user_id", "#user"):
        read(gateway, era, f"crm://{OWN}/tickets{parameters}").forwarded()


def test_s5_an_argument_with_an_owner_has_own_parameters(gateway: Gateway) -> None:
    arguments = {"account_ref": f"acct:{OWN}:7?organization_id={OTHER}"}
    send(gateway, LEGACY, arguments).refused(200, -32602, "blocked")
