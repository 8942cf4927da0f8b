"""Real servers with real clients, directly and behind the filter."""
