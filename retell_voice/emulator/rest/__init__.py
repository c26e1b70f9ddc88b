"""Retell's REST API, as far as it concerns calls: register, look up, list, change and stop them."""
