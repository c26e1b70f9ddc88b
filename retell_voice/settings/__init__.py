"""Settings: what they are, and how they are read from file, environment and flags."""
