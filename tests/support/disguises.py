"""Texts that are up to no good, and secrets as they come back."""

from __future__ import annotations

import json
from urllib.parse import quote

HOSTILE = "\x1b]0;owned\x07\x9b2J\u202edrow\u2066"


def disguises(secret: str) -> list[str]:
    """A secret as servers, proxies and frameworks may write it."""
    every = "".join(f"%{byte:02X}" for byte in secret.encode())
    return [
        secret,
        secret.upper(),
        quote(secret, safe=""),
        every,
        quote(every, safe=""),
        json.dumps(secret),
        "".join(f"\\u{ord(each):04x}" for each in secret),
        "".join(f"\\x{ord(each):02x}" for each in secret),
        "".join(f"&#{ord(each)};" for each in secret),
        "".join(f"&#x{ord(each):X};" for each in secret),
        "".join(each if n % 2 else quote(each, safe="") for n, each in enumerate(secret)),
        secret[:9] + "".join(f"%{byte:02x}" for byte in secret[9:].encode()),
        f"wss://x/{secret}?a=b",
    ]


def harmless(text: str) -> bool:
    """Tell whether nothing in a text steers a terminal."""
    return not any(each in text for each in "\x1b\x07\x9b\u202e\u2066\x7f")
