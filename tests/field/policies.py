"""The sides of the matrix: no filter, and two policies."""

from __future__ import annotations

from ..harness.policy import policy

DIRECT, ALLOW_ALL, STRICT = "direct", "allow-all", "strict"

# Behind this policy, nothing may be noticed of the filter.
ALLOW_ALL_POLICY = policy(
    roles={"*": {"tools": ["*"], "prompts": ["*"], "resources": ["*"]}},
    arguments={},
    builtin_arguments=False,
    tools={},
)
