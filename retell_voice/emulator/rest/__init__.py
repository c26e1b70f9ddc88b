"""Retell's REST API: register calls, look them up, list, change and stop them; agents, voices."""
