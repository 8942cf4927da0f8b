"""What two runs have in common, and where they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from .suite import Check, Results

MISSING = "missing"


@dataclass(frozen=True)
class Difference:
    """A check, or a whole scenario, that came out differently."""

    scenario: str
    check: str
    direct: str
    filtered: str


def differences(direct: Results, filtered: Results) -> list[Difference]:
    """Everything that is not the same in both."""
    return [
        each
        for scenario in sorted(direct.keys() | filtered.keys())
        for each in _in_scenario(scenario, direct.get(scenario), filtered.get(scenario))
    ]


def failures(results: Results) -> list[tuple[str, Check]]:
    """Every check that failed, with its scenario."""
    return [
        (scenario, check)
        for scenario, checks in results.items()
        for check in checks
        if check.failed
    ]


def _in_scenario(
    scenario: str, direct: list[Check] | None, filtered: list[Check] | None
) -> Iterator[Difference]:
    if direct is None or filtered is None:
        ran = ["run" if checks is not None else MISSING for checks in (direct, filtered)]
        yield Difference(scenario, "the scenario", *ran)
        return
    left, right = _outcomes(direct), _outcomes(filtered)
    for check in sorted(left.keys() | right.keys()):
        if left[check] != right[check]:
            why = _messages(check, filtered)
            yield Difference(scenario, check, _shown(left[check]), _shown(right[check]) + why)


def _outcomes(checks: list[Check]) -> defaultdict[str, list[str]]:
    """The statuses of each check. Several can share a name, in any order."""
    outcomes: defaultdict[str, list[str]] = defaultdict(list)
    for check in checks:
        outcomes[_name(check)].append(check.status)
    for statuses in outcomes.values():
        statuses.sort()
    return outcomes


def _name(check: Check) -> str:
    return f"{check.name} ({check.id})"


def _shown(statuses: list[str]) -> str:
    return ", ".join(statuses) or MISSING


def _messages(name: str, checks: list[Check]) -> str:
    named = [check.message for check in checks if _name(check) == name]
    return "".join(f"; {message}" for message in named if message)


def show(
    console: Console, title: str, direct: Results, filtered: Results, wrong: set[str]
) -> None:
    """A table with a line for each scenario; those that are wrong are marked."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2))
    for heading in ("scenario", "direct", "through the filter", ""):
        table.add_column(heading)
    for scenario in direct | filtered:
        mark = "[red]wrong" if scenario in wrong else ""
        left, right = direct.get(scenario, []), filtered.get(scenario, [])
        table.add_row(scenario, count(left), count(right), mark)
    table.add_row("total", *(count(sum(each.values(), [])) for each in (direct, filtered)))
    console.print(table, "")


def count(checks: list[Check]) -> str:
    """How many checks came out in which way."""
    passed = sum(check.status == "SUCCESS" for check in checks)
    others = {
        "failed": sum(check.failed for check in checks),
        "skipped": sum(check.status == "SKIPPED" for check in checks),
    }
    shown = [f"{number} {how}" for how, number in others.items() if number]
    return ", ".join([f"{passed} passed", *shown])


def explain(console: Console, found: list[Difference]) -> None:
    """Each difference with both sides."""
    for each in found:
        console.print(f"[red]{each.scenario}[/red]: {each.check}", highlight=False)
        console.print(f"  direct              {each.direct}", markup=False, highlight=False)
        console.print(f"  through the filter  {each.filtered}", markup=False, highlight=False)


def complain(console: Console, what: str, failed: list[tuple[str, Check]]) -> None:
    """Each failed check with what the suite says about it."""
    for scenario, check in failed:
        console.print(f"[red]{what}[/red] {scenario}: {_name(check)}", highlight=False)
        console.print(f"  {check.message}", markup=False, highlight=False)
