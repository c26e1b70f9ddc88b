"""Bytes to events and back, both sides of each dialect. No I/O, no clock, no threads."""
