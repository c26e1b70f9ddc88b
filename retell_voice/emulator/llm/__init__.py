"""The connection to a custom LLM server: dialled for each call, its messages feed the dialogue."""
