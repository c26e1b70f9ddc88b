"""Where samples come from and where they go."""
