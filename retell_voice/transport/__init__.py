"""How a call reaches its server."""
