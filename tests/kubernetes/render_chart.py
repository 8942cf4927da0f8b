"""Renders the Helm chart with the values on standard input. Helm's own engine, as a library."""

from __future__ import annotations

import json
import sys

import helm_python

chart_path, namespace = sys.argv[1:]
with helm_python.Chart.load(chart_path) as chart:
    rendered = chart.render(json.load(sys.stdin), name="mcp-auth", namespace=namespace)
json.dump([text for name, text in sorted(rendered.items()) if name.endswith(".yaml")], sys.stdout)
