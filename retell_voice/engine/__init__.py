"""One call, from opening it to its last event."""
