"""Devices that are lost, silent, late or drifting."""
