"""Applies the operations of an EnvoyPatchPolicy to a resource, as Envoy Gateway does. Reads both as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import jsonpath

given: dict[str, Any] = json.load(sys.stdin)
resource = given["resource"]
for operation in given["operations"]:
    if "jsonPath" in operation:
        # Envoy Gateway's library takes a path without `$`.
        path = operation["jsonPath"]
        found = jsonpath.finditer(path if path.startswith("$") else "$" + path, resource)
        pointers = [str(each.pointer()) + operation.get("path", "") for each in found]
    else:
        pointers = [operation["path"]]
    if not pointers:
        sys.exit(f"nothing is at {operation['jsonPath']}")
    for pointer in pointers:
        step = {"op": operation["op"], "path": pointer, "value": operation["value"]}
        resource = jsonpath.patch.apply([step], resource)
json.dump(resource, sys.stdout)
