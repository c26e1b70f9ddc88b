"""Samples: mono int16 arrays of shape (n,) and what is done to them. No I/O, no clock."""
