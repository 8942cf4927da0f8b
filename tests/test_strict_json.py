"""Texts that two JSON parsers could read differently are refused."""

from __future__ import annotations

import pytest

from .harness import tokens
from .harness.answers import encoded
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.messages import LEGACY, MODERN, call, message
from .harness.policy import policy

LISTENERS = {"crm": Listener(policy())}

NOT_STRICT = {-32700, -32600}
NOT_A_CALL = NOT_STRICT | {-32601, -32602, -32020}

NAME = '"name":"crm.get_customer"'
ARGUMENTS = '"arguments":{"query":"x"}'
METHOD = '"method":"tools/call"'
ID = '"id":1'
VERSION = '"jsonrpc":"2.0"'
DENIED = '"name":"crm.purge"'

pytestmark = pytest.mark.parametrize("era", [LEGACY, MODERN])


def base(era: str) -> dict[str, object]:
    """A call this caller may make."""
    return call(era, "crm.get_customer", {"query": "x"})


def text(era: str) -> str:
    """The same call as JSON."""
    return encoded(base(era)).decode()


def edited(era: str, old: str, new: str) -> bytes:
    """The call with one part of its text replaced."""
    assert text(era).count(old) == 1, old
    return text(era).replace(old, new).encode()


def send(gateway: Gateway, era: str, body: bytes) -> Exchange:
    """A body under the headers of the call."""
    return gateway.post(body, tokens.support(), era, like=base(era))


def refuse(gateway: Gateway, era: str, body: bytes) -> Exchange:
    """The body is no strict JSON-RPC message, and nothing of it gets through."""
    return send(gateway, era, body).refused(400, NOT_STRICT, "blocked")


def test_the_unchanged_call_is_forwarded_verbatim(gateway: Gateway, era: str) -> None:
    send(gateway, era, text(era).encode()).forwarded(text(era).encode())


def test_spelling_and_space_that_mean_the_same_are_forwarded_verbatim(gateway: Gateway, era: str) -> None:
    body = edited(era, '"name":"crm.get_customer"', '\n\t"n\\u0061me" : "crm\\u002eget_customer" ')
    send(gateway, era, body).forwarded(body)


LOOK_ALIKES = {
    "name_after": (NAME, f'{NAME},"Name":"crm.purge"'),
    "name_before": (NAME, f'"Name":"crm.purge",{NAME}'),
    "name_upper": (NAME, f'{NAME},"NAME":"crm.purge"'),
    "name_alone": (NAME, '"Name":"crm.get_customer"'),
    "arguments": (ARGUMENTS, f'{ARGUMENTS},"Arguments":{{"query":"y"}}'),
    "method": (METHOD, f'{METHOD},"Method":"ping"'),
    "params": (METHOD, f'{METHOD},"Params":{{{DENIED}}}'),
    "id": (ID, f'{ID},"ID":2'),
    "version": (VERSION, f'{VERSION},"JsonRpc":"2.0"'),
    "meta": (NAME, f'{NAME},"_META":{{}}'),
    "result": (METHOD, f'{METHOD},"Result":{{}}'),
    "uri": (NAME, f'{NAME},"URI":"crm://vault/1"'),
}


@pytest.mark.parametrize("old, new", LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def b01_keys_that_differ_from_protocol_keys_in_case(gateway: Gateway, era: str, old: str, new: str) -> None:
    refuse(gateway, era, edited(era, old, new))


FOLDS = {
    "long_s": (METHOD, f'{METHOD},"param\u017f":{{{DENIED}}}'),
    "long_s_escaped": (METHOD, f'{METHOD},"param\\u017f":{{{DENIED}}}'),
    "long_s_in_arguments": (ARGUMENTS, f'{ARGUMENTS},"argument\u017f":{{}}'),
    "kelvin_sign": (NAME, f'{NAME},"tas\u212a":{{"ttl":1}}'),
    "full_width": (NAME, f'{NAME},"\uff4e\uff41\uff4d\uff45":"crm.purge"'),
    "zero_width": (NAME, f'{NAME},"na\u200bme":"crm.purge"'),
    "soft_hyphen": (NAME, f'{NAME},"na\u00adme":"crm.purge"'),
    "word_joiner_escaped": (NAME, f'{NAME},"\\u2060name":"crm.purge"'),
    "byte_order_mark": (NAME, f'{NAME},"\ufeffname":"crm.purge"'),
    "mathematical": (NAME, f'{NAME},"\U0001d427ame":"crm.purge"'),
    "dotless_i": (ID, f'{ID},"\u0131d":2'),
    "dotted_capital_i": (ID, f'{ID},"\u0130d":2'),
}


@pytest.mark.parametrize("old, new", FOLDS.values(), ids=FOLDS)
def b02_keys_that_fold_to_protocol_keys(gateway: Gateway, era: str, old: str, new: str) -> None:
    refuse(gateway, era, edited(era, old, new))


NUL_AND_SURROGATES = {
    "nul_after_key": (NAME, f'{NAME},"name\\u0000":"crm.purge"'),
    "nul_in_key": (NAME, f'{NAME},"na\\u0000me":"crm.purge"'),
    "nul_in_argument_name": ('"query"', '"query\\u0000"'),
    "nul_in_tool_name": (NAME, '"name":"crm.get_customer\\u0000"'),
    "nul_in_method": (METHOD, '"method":"tools/call\\u0000"'),
    "surrogate_in_key": (NAME, f'{NAME},"\\ud800name":1'),
    "surrogate_in_tool_name": (NAME, '"name":"crm.get_customer\\udfff"'),
    "surrogate_in_argument": ('"x"', '"\\ud83d"'),
    "surrogates_swapped": ('"x"', '"\\ude00\\ud83d"'),
    "surrogate_and_letter": ('"x"', '"\\ud83dx"'),
}


@pytest.mark.parametrize("old, new", NUL_AND_SURROGATES.values(), ids=NUL_AND_SURROGATES)
def b03_nul_and_lone_surrogates(gateway: Gateway, era: str, old: str, new: str) -> None:
    refuse(gateway, era, edited(era, old, new))


DUPLICATES = {
    "name": (NAME, f"{NAME},{DENIED}"),
    "name_first": (NAME, f"{DENIED},{NAME}"),
    "name_same_value": (NAME, f"{NAME},{NAME}"),
    "name_escaped": (NAME, f'{NAME},"na\\u006de":"crm.purge"'),
    "method": (METHOD, f'"method":"ping",{METHOD}'),
    "method_escaped": (METHOD, f'{METHOD},"\\u006dethod":"ping"'),
    "params": (METHOD, f'"params":{{{DENIED}}},{METHOD}'),
    "id": (ID, f'{ID},"id":2'),
    "version": (VERSION, f"{VERSION},{VERSION}"),
    "arguments": (ARGUMENTS, f'{ARGUMENTS},"arguments":{{}}'),
    "inside_arguments": ('"query":"x"', '"query":"x","query":"y"'),
    "escaped_slash": ('"query":"x"', '"a/b":1,"a\\/b":2'),
    "surrogate_pair_escaped": ('"query":"x"', '"\U0001f600":1,"\\ud83d\\ude00":2'),
    "nested": ('"x"', '{"a":{"b":{"c":1,"d":2,"c":3}}}'),
    "in_an_array": ('"x"', '[1,[{"a":1},{"b":1,"b":2}]]'),
    "empty_key": ('"query":"x"', '"":1,"":2'),
    "among_many": ('"query":"x"', ",".join(f'"k{n}":{n}' for n in range(400)) + ',"k7":7'),
}


@pytest.mark.parametrize("old, new", DUPLICATES.values(), ids=DUPLICATES)
def b04_duplicate_keys_at_any_depth(gateway: Gateway, era: str, old: str, new: str) -> None:
    refuse(gateway, era, edited(era, old, new))


def b04_duplicate_protocol_version(gateway: Gateway, era: str) -> None:
    key = '"io.modelcontextprotocol/protocolVersion"'
    meta = f'"_meta":{{{key}:"2026-07-28",{key}:"2025-11-25"}}'
    body = f'{{{VERSION},{ID},{METHOD},"params":{{{NAME},{meta}}}}}'
    refuse(gateway, era, body.encode())


WHOLE_BODIES = {
    "batch": lambda t: f"[{t}]",
    "batch_of_two": lambda t: f"[{t},{t}]",
    "empty_batch": lambda t: "[]",
    "byte_order_mark": lambda t: "\ufeff" + t,
    "garbage_behind": lambda t: t + "x",
    "bracket_behind": lambda t: t + "}",
    "nul_behind": lambda t: t + "\0",
    "two_documents": lambda t: t + t,
    "two_lines": lambda t: f"{t}\n{t}\n",
    "line_comment": lambda t: f"// call\n{t}",
    "block_comment": lambda t: t.replace(NAME, f"/* x */{NAME}"),
    "single_quotes": lambda t: t.replace('"', "'"),
    "bare_key": lambda t: t.replace('"jsonrpc"', "jsonrpc"),
    "trailing_comma": lambda t: t.replace('"x"', '"x",'),
    "no_comma": lambda t: t.replace('1,"method"', '1 "method"'),
    "form_feed": lambda t: "\f" + t,
    "no_break_space": lambda t: "\u00a0" + t,
    "cut": lambda t: t[:-1],
    "empty": lambda t: "",
    "spaces": lambda t: "  \r\n\t ",
    "null": lambda t: "null",
    "string": lambda t: '"tools/call"',
    "number": lambda t: "1",
    "deep_arrays": lambda t: t.replace('"x"', "[" * 300 + "]" * 300),
    "deeper_arrays": lambda t: t.replace('"x"', "[" * 50_000 + "]" * 50_000),
    "deep_objects": lambda t: t.replace('"x"', '{"a":' * 300 + "1" + "}" * 300),
    "unclosed_arrays": lambda t: "[" * 100_000,
}


@pytest.mark.parametrize("change", WHOLE_BODIES.values(), ids=WHOLE_BODIES)
def b05_not_one_strict_document(gateway: Gateway, era: str, change: object) -> None:
    refuse(gateway, era, change(text(era)).encode())  # type: ignore[operator]


VALUES = {
    name: value.encode() if isinstance(value, str) else value
    for name, value in {
        "nan": "NaN",
        "infinity": "-Infinity",
        "plus": "+1",
        "leading_zero": "01",
        "no_fraction": "1.",
        "no_integer": ".5",
        "hexadecimal": "0x10",
        "no_exponent": "1e",
        "minus": "-",
        "true_upper": "True",
        "undefined": "undefined",
        "escape_x": '"\\x41"',
        "escape_quote": "\"\\'\"",
        "escape_short": '"\\u12"',
        "escape_not_hex": '"\\u12g4"',
        "tab_in_string": '"a\tb"',
        "newline_in_string": '"a\nb"',
        "nul_in_string": '"a\0b"',
        "invalid_utf8": b'"\xff"',
        "truncated_utf8": b'"\xc3"',
        "overlong_utf8": b'"\xc0\xaf"',
        "surrogate_utf8": b'"\xed\xa0\x80"',
        "beyond_unicode": b'"\xf4\x90\x80\x80"',
        "invalid_utf8_in_key": b'{"\xff":1}',
    }.items()
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def b05_values_json_does_not_have(gateway: Gateway, era: str, value: bytes) -> None:
    refuse(gateway, era, text(era).encode().replace(b'"x"', value))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
def b05_other_encodings(gateway: Gateway, era: str, encoding: str) -> None:
    refuse(gateway, era, text(era).encode(encoding))


@pytest.mark.parametrize("end", [f",{DENIED}}}}}", ',"arguments":{}}}', '}},"x"', '}}{"jsonrpc":"2.0"}'])
def b06_a_fault_at_the_very_end_of_a_long_body(gateway: Gateway, era: str, end: str) -> None:
    filler = ",".join(f'{{"note":"{n}"}}' for n in range(9000))
    body = text(era).replace('"x"', f"[{filler}]").removesuffix("}}") + end
    assert len(body) > 100_000
    refuse(gateway, era, body.encode())


ENVELOPES = {
    "method_and_result": (ID, f'{ID},"result":{{}}'),
    "method_and_error": (ID, f'{ID},"error":{{"code":1,"message":"x"}}'),
    "id_null": (ID, '"id":null'),
    "id_fractional": (ID, '"id":1.5'),
    "id_fraction_of_zero": (ID, '"id":1.0'),
    "id_exponent": (ID, '"id":1e2'),
    "id_boolean": (ID, '"id":true'),
    "id_object": (ID, '"id":{}'),
    "id_list": (ID, '"id":[1]'),
    "no_id": (f"{ID},", ""),
    "no_method": (f"{METHOD},", ""),
    "method_number": (METHOD, '"method":1'),
    "method_list": (METHOD, '"method":["tools/call"]'),
    "no_version": (f"{VERSION},", ""),
    "version_1": (VERSION, '"jsonrpc":"1.0"'),
    "version_number": (VERSION, '"jsonrpc":2.0'),
    "unknown_member": (ID, f'{ID},"session":"x"'),
    "name_missing": (f"{NAME},", ""),
    "name_number": (NAME, '"name":1'),
    "name_list": (NAME, '"name":["crm.get_customer"]'),
    "name_null": (NAME, '"name":null'),
    "arguments_list": (ARGUMENTS, '"arguments":[]'),
    "arguments_text": (ARGUMENTS, '"arguments":"{}"'),
    "meta_list": (NAME, f'{NAME},"_meta":[]'),
}


@pytest.mark.parametrize("old, new", ENVELOPES.values(), ids=ENVELOPES)
def b09_not_a_request_as_mcp_defines_it(gateway: Gateway, era: str, old: str, new: str) -> None:
    send(gateway, era, edited(era, old, new)).refused({200, 400, 404}, NOT_A_CALL, "blocked")


@pytest.mark.parametrize("params", ["[]", "false", '"x"', "1"])
def b09_params_that_are_no_object(gateway: Gateway, era: str, params: str) -> None:
    body = f'{{{VERSION},{ID},{METHOD},"params":{params}}}'
    send(gateway, era, body.encode()).refused(400, NOT_STRICT, "blocked")


def b09_an_answer_with_result_and_error(gateway: Gateway, era: str) -> None:
    body = f'{{{VERSION},{ID},"result":{{}},"error":{{"code":1,"message":"x"}}}}'
    send(gateway, era, body.encode()).refused(400, NOT_A_CALL, "blocked")


@pytest.mark.parametrize("id", ["1", "0", "-7", '"a"', '""', str(2**70), '"1"'])
def b09_the_id_is_forwarded_as_written(gateway: Gateway, era: str, id: str) -> None:
    body = edited(era, ID, f'"id":{id}')
    send(gateway, era, body).forwarded(body)


NUMBERS = ["9223372036854775809", "1e400", "-0", "-0.0", "1.0", "1E+2", "0.10", "1.000000000000000001"]


@pytest.mark.parametrize("number", NUMBERS)
def b10_numbers_are_forwarded_as_written(gateway: Gateway, era: str, number: str) -> None:
    body = text(era).replace('"x"', number).encode()
    send(gateway, era, body).forwarded(body)


@pytest.mark.parametrize("number", NUMBERS)
def b10_numbers_beside_an_edit_are_forwarded_as_written(gateway: Gateway, era: str, number: str) -> None:
    old = f'{{"n":{number},"user_id":"user-bob","list":[{number} , {{"m": {number}}}]}}'
    body = text(era).replace('{"query":"x"}', old)
    assert body != text(era)
    expected = body.replace("user-bob", tokens.USER)
    send(gateway, era, body.encode()).forwarded(expected.encode())


def test_messages_without_params_are_read(gateway: Gateway, era: str) -> None:
    body = message(era, "tools/list")
    gateway.post(body, tokens.support(), era).forwarded(body)
