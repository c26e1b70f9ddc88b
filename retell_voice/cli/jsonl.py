"""What ``--json`` prints; see ``retell_voice.jsonl``."""

from retell_voice.jsonl import line, to_json

__all__ = ["line", "to_json"]
