"""Real clients in front, a real OpenID provider beside, and a real MCP server behind the filter.

`kinds.py` has the clients and what each of them can do; the tests run them all through `test_*.py`.
"""
