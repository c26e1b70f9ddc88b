"""A device that nobody looks after: it waits, holds a call for each press, and waits again."""
