"""The licences of everything that is installed, against a list of those that will do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from email.message import Message
from importlib.metadata import Distribution, distributions
from typing import cast

PERMISSIVE = frozenset(
    (
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0"),
        *("MIT-CMU", "PSF-2.0", "Unlicense", "Zlib"),
    )
)
WEAK = frozenset(("EPL-2.0", "LGPL-2.1-or-later", "LGPL-3.0-only", "MPL-2.0"))
"""What is linked with these, or imports them unchanged, may have any licence."""

EXCEPTIONS: Mapping[str, str] = {
    "piper-tts": "GPL-3.0-or-later: an optional TTS, run as a process of its own",
    "espeakng-loader": "GPL-3.0 (espeak-ng), not stated: an optional TTS, run as the one above",
}
"""What has another one, or states none, and why it will do."""

_KNOWN = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
_OPERATOR = re.compile(r"\s+(AND|OR)\s+|[()]")


def licence(distribution: Distribution) -> str:
    """Return what a distribution says of its licence; empty: nothing."""
    metadata = cast(Message, distribution.metadata)
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = metadata.get_all("Classifier") or []
    named = [
        each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: OSI")
    ]
    stated = str(metadata.get("License") or "")
    # Some put the whole text here.
    short = "" if "\n" in stated or len(stated) > 60 or stated == "UNKNOWN" else stated
    return " OR ".join(named) if named else short


def will_do(stated: str) -> bool:
    """Tell whether a licence will do: all of several, but any one of those to choose from."""
    text = _SPDX.sub(lambda found: _KNOWN[found[0].lower()], stated)
    groups = re.split(r"\s+OR\s+", text.strip("() "))
    return any(
        all(part.strip("() ") in PERMISSIVE | WEAK for part in re.split(r"\s+AND\s+", group))
        for group in groups
    )


_SPDX = re.compile(
    "|".join(rf"(?<![\w-]){re.escape(each)}(?![\w-])" for each in sorted(_KNOWN, key=len)[::-1]),
    re.IGNORECASE,
)


def complaints(installed: Iterable[Distribution] | None = None) -> list[str]:
    """Return a line for each distribution whose licence will not do, or is not known."""
    lines = []
    for each in sorted(installed or distributions(), key=lambda each: each.name.lower()):
        name = re.sub(r"[-_.]+", "-", each.name).lower()
        stated = licence(each)
        if name not in EXCEPTIONS and not will_do(stated):
            lines.append(f"{each.name} {each.version}: {stated or 'states no licence'}")
    return lines
