"""A CRM behind MCP that believes what its callers say about themselves."""
