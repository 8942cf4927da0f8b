"""The two layers with real parts only: two OpenID providers, a resource that checks its own tokens, an MCP server
that uses them, etcd, two replicas of Envoy, and a browser in which people sign in, consent and connect.

`stage.py` puts the parts together, `conftest.py` has the fixtures.
"""
