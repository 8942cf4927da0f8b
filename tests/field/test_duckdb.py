"""A third party's server of a SQL database (DuckDB): JSON in texts, and tables as lists of lists."""

from __future__ import annotations

import pytest

from .matrix import Field, Subject
from .plan import CLIENTS, call, initialize, lists, ping
from .policies import ALLOW_ALL, STRICT
from .server import PYTHON_SERVERS, Server

TABLES = (
    "CREATE TABLE customers (id INTEGER, name TEXT, mail TEXT, born DATE, score DOUBLE); "
    "INSERT INTO customers VALUES (1, 'Ann', 'ann@example.com', '1990-01-02', 1.5), "
    "(2, 'Bo', NULL, NULL, 'nan'); "
    "CREATE TABLE salaries (name TEXT, amount INTEGER); INSERT INTO salaries VALUES ('Ann', 93517);"
)


def query(sql: str, name: str = "execute_query") -> dict[str, object]:
    """A step that sends SQL."""
    return call("execute_query", {"sql": sql}, name=name)


SUBJECT = Subject(
    name="duckdb",
    server=Server(
        (
            str(PYTHON_SERVERS / "mcp-server-motherduck"),
            *("--transport", "http", "--port", "$PORT", "--db-path", ":memory:", "--read-write", "--init-sql", TABLES),
        )
    ),
    steps=[
        initialize(),
        ping(),
        *lists("tools", "prompts", "resources", "resourceTemplates"),
        call("list_databases"),
        call("list_tables"),
        call("list_tables", {"schema": "main"}, name="tables of a schema"),
        call("list_columns", {"table": "customers"}),
        call("list_columns", {"table": None}, name="null in place of a table"),
        query("SELECT id, name, born FROM customers ORDER BY id"),
        query("SELECT mail FROM customers ORDER BY id", name="mail addresses"),
        query("SELECT score FROM customers ORDER BY id", name="numbers that JSON has not"),
        query("SELECT 12345678901234567890::HUGEINT AS n, 0.1::DECIMAL(5,3) AS d, TIME '10:00' AS t", name="types"),
        query("SELECT repeat('x', 1000) AS x FROM range(40)", name="a long result"),
        query("SELECT * FROM none", name="an error of the database"),
        query("INSERT INTO customers VALUES (3, 'Cy', NULL, NULL, 0)", name="insert"),
        query("DELETE FROM customers WHERE id = 3", name="delete"),
        query("SELECT * FROM salaries", name="a table that is not for all"),
        call("switch_database_connection", {"path": ":memory:"}),
    ],
    strict={
        "roles": {"support": {"tools": ["*"], "deny": ["list_databases"]}},
        "tools": {"execute_query": {"when": "!args.sql.contains('salaries')"}},
        "results": [{"tools": ["*"], "detect": ["email"]}],
    },
    refused={
        "list_databases",
        "a table that is not for all",
    },
    edited={
        "initialize",
        "list tools",
        "mail addresses",
    },
    hidden=["list_databases", "93517", "ann@example.com"],
)


@SUBJECT.each_step(ALLOW_ALL)
def test_duckdb_works_behind_allow_all(field: Field, client: str, step: str) -> None:
    field.works_behind_allow_all(client, step)


@SUBJECT.each_step(STRICT)
def test_duckdb_is_as_the_strict_policy_says(field: Field, client: str, step: str) -> None:
    field.is_as_the_strict_policy_says(client, step)


@pytest.mark.parametrize("client", CLIENTS)
def test_nothing_hidden_comes_from_duckdb(field: Field, client: str) -> None:
    field.hides(client)
