"""What the end-to-end tests are made of: Envoy, a recording server, clients, tokens."""
