"""What ``retell-voice kiosk doctor`` looks at."""
