"""The comparison of conformance runs notices everything that can differ."""

from __future__ import annotations

import pytest

from .conformance.report import differences, failures
from .conformance.suite import Check, Results

FIRST = Check("lists-tools", "ListsTools", "SUCCESS")
SECOND = Check("wire-schema-valid", "WireSchemaValid", "SUCCESS")
FAILED = Check("wire-schema-valid", "WireSchemaValid", "FAILURE", "resultType is missing")
WARNED = Check("lists-tools", "ListsTools", "WARNING")

RUN: Results = {"tools-list": [FIRST, SECOND], "ping": [SECOND]}


def run(**changes: list[Check] | None) -> Results:
    """The run, with some of its scenarios replaced; None leaves one out."""
    named = {name.replace("_", "-"): checks for name, checks in changes.items()}
    return {name: checks for name, checks in {**RUN, **named}.items() if checks is not None}


def test_equal_runs_do_not_differ() -> None:
    assert differences(RUN, run()) == []
    assert differences(RUN, run(tools_list=[SECOND, FIRST])) == []


@pytest.mark.parametrize(
    "changed",
    [
        run(tools_list=[FIRST]),
        run(tools_list=[FIRST, FAILED]),
        run(tools_list=[WARNED, SECOND]),
        run(tools_list=[FIRST, SECOND, SECOND]),
        run(tools_list=[FIRST, SECOND, Check("lists-tools", "Another", "SUCCESS")]),
        run(tools_list=[]),
        run(tools_list=None),
        run(prompts_list=[FIRST]),
    ],
    ids=[
        "a check is missing",
        "a check fails",
        "a check warns",
        "a check is repeated",
        "a check is added",
        "all checks are missing",
        "a scenario is missing",
        "a scenario is added",
    ],
)
def test_a_change_is_a_difference(changed: Results) -> None:
    assert differences(RUN, changed)
    assert differences(changed, RUN)


def test_the_same_failures_do_not_differ_and_still_count() -> None:
    failing = run(ping=[FAILED])
    assert differences(failing, failing) == []
    assert failures(failing) == [("ping", FAILED)]


def test_one_failure_among_equal_names_is_a_difference() -> None:
    [found] = differences(run(ping=[SECOND, SECOND]), run(ping=[FAILED, SECOND]))
    assert (found.direct, found.filtered) == (
        "SUCCESS, SUCCESS",
        "FAILURE, SUCCESS; resultType is missing",
    )


def test_only_failed_checks_and_warnings_are_failures() -> None:
    harmless = [Check("note", "Note", "INFO"), Check("later", "Later", "SKIPPED"), FIRST]
    assert failures({"ping": harmless}) == []
    found = failures({"ping": [*harmless, WARNED, FAILED]})
    assert [check for _, check in found] == [WARNED, FAILED]
