"""Retell's side of a call, on your own machine."""
