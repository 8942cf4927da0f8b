"""A CRM that believes its callers, and the filter that does not."""
