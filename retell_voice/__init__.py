"""Talk to a Retell voice agent."""

__version__ = "0.1.0"
