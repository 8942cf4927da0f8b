"""Decision points of others, and a small one of the tests' own."""
