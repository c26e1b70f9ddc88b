"""The way to a custom LLM server: dial it for a call, and carry its messages to the dialogue."""
