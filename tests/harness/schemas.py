"""Random JSON Schemas that name identity arguments, and arguments for them."""

from __future__ import annotations

from random import Random
from typing import Any

Schema = dict[str, Any]

# Removed or refused by the tests' policy, so not to be shown; in any spelling.
RULED = ["role", "Role", "impersonate", "filter.role"]
FREE = ["query", "limit", "properties", "required", "tags"]

DEFINITIONS = ["A", "B"]


class Schemas:
    """Schemas and arguments from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def tool(self) -> Schema:
        """An input schema, with definitions it may use."""
        definitions = {name: self.schema(2) for name in DEFINITIONS}
        schema = self.object_schema(3)
        # Some refer to it.
        schema["properties"]["role"] = {"type": ["string", "object"]}
        return {"type": "object", **schema, "$defs": definitions}

    def schema(self, depth: int) -> Any:
        """A schema for any value."""
        choice = self.random.random()
        if depth == 0 or choice < 0.3:
            return self.leaf()
        if choice < 0.7:
            return self.object_schema(depth - 1)
        if choice < 0.8:
            items = self.object_schema(depth - 1)
            # Else no schema says that elements may differ in what is hidden only.
            items["properties"]["role"] = self.leaf()
            return self.sometimes({"type": "array", "items": items}, uniqueItems=True, minItems=1)
        return {self.random.choice(["allOf", "anyOf", "oneOf"]): [self.schema(depth - 1) for _ in range(2)]}

    def leaf(self) -> Any:
        """A schema without others inside."""
        return self.random.choice(
            [
                True,
                {},
                {"type": ["string", "integer"]},
                {"enum": ["role", 1, {"role": 1, "limit": 1}, {}]},
                {"const": {"role": 1}},
                {"default": {"impersonate": "x", "limit": [{"role": 1}]}},
            ]
        )

    def member(self, depth: int) -> Any:
        """A schema for a member. Only these refer to others, so that none refers to itself alone."""
        if self.random.random() > 0.3:
            return self.schema(depth)
        targets = [{"$ref": f"#/$defs/{name}"} for name in DEFINITIONS]
        targets += [{"$ref": "#/properties/role"}, {"$ref": "#"}, {"$ref": "#/properties/role", "title": "x"}]
        one, other = self.random.sample(targets, 2)
        return self.random.choice([one, {self.random.choice(["anyOf", "oneOf"]): [one, other]}])

    def object_schema(self, depth: int) -> Schema:
        """A schema about members."""
        names = self.names(4)
        schema: Schema = {"properties": {name: self.schema(depth) for name in names}}
        if "role" not in schema["properties"] and self.random.random() < 0.5:
            schema["properties"]["role"] = self.leaf()
        return self.sometimes(
            schema,
            required=self.names(2),
            dependentRequired={self.name(): self.names(1)},
            dependentSchemas={self.name(): self.schema(max(depth - 1, 0))},
            minProperties=self.random.randint(0, 2),
            additionalProperties=self.random.choice([True, {"type": "integer"}]),
            unevaluatedProperties=False,
            propertyNames={"enum": [*FREE, *RULED]},
            **{
                "not": {"required": self.names(1)},
                "if": {"required": self.names(1)},
                "then": self.schema(max(depth - 1, 0)),
                "else": self.leaf(),
                "oneOf": [{"required": [self.name()]}, {"required": [self.name()]}],
            },
        )

    def sometimes(self, schema: Schema, **more: Any) -> Schema:
        """The schema with some of these keywords."""
        return {**schema, **{key: value for key, value in more.items() if self.random.random() < 0.2}}

    def name(self) -> str:
        """An argument."""
        return self.random.choice(FREE + RULED)

    def names(self, most: int) -> list[str]:
        """Some arguments, each once."""
        return self.random.sample(FREE + RULED, self.random.randint(0, most))

    def arguments(self, depth: int = 2) -> dict[str, Any]:
        """Arguments of a call."""
        return {name: self.value(depth) for name in self.names(4)}

    def value(self, depth: int) -> Any:
        """Any value."""
        choice = self.random.random()
        if depth > 0 and choice < 0.3:
            return self.arguments(depth - 1)
        if depth > 0 and choice < 0.5:
            return [self.value(depth - 1) for _ in range(self.random.randint(0, 2))]
        return self.random.choice([1, "x", {"role": 1}, {}, "role", None])


def without(value: Any, names: list[str]) -> Any:
    """The value without members of these names, as the server gets it."""
    if isinstance(value, dict):
        return {key: without(each, names) for key, each in value.items() if key not in names}
    if isinstance(value, list):
        return [without(each, names) for each in value]
    return value
