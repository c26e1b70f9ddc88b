"""Work that leaves the event loop and comes back."""
