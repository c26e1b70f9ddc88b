"""Asking and telling a kiosk that runs: JSON lines over a socket."""
