"""The program ``retell-voice``."""
