"""What ``scripts/bench`` is made of; see ``scripts/bench --help``."""
