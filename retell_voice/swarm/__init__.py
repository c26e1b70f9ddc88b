"""Many calls at once to one voice server, and what its callers would say of it."""
