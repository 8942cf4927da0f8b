"""The official conformance suite, against a server directly and through the filter."""
