"""What the filter costs in a real Envoy, next to Envoy's own filters for MCP."""
