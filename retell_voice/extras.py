"""How an extra, or another package, is installed here: the command that works for this copy of the
program, whether it came by pip, pipx or uv, from a registry, a repository or a clone.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from retell_voice.shown import as_argument

_NAME = "retell-voice"


@dataclass(frozen=True, slots=True)
class Installation:
    """Where this program is.

    Attributes:
        prefix: its environment.
        python: its interpreter.
        has_pip: whether that environment has pip.
        active: whether a shell's ``pip`` is that environment's.
        origin: ``direct_url.json``: where it was installed from, None if from a registry.
    """

    prefix: str
    python: str
    has_pip: bool = True
    active: bool = False
    origin: str | None = None

    def install(self, extra: str) -> str:
        """Return the command that adds an extra."""
        return self.add(*_requirement(self.origin, extra))

    def add(self, *packages: str) -> str:
        """Return the command that adds packages, beside this program."""
        what = " ".join(map(as_argument, packages))
        parts = Path(self.prefix).parts
        if parts[-3:-1] == ("pipx", "venvs"):
            return f"pipx runpip {parts[-1]} install {what}"
        if not self.has_pip:
            return f"uv pip install --python {as_argument(self.python)} {what}"
        if self.active:
            return f"pip install {what}"
        return f"{as_argument(self.python)} -m pip install {what}"


def how_to_install(extra: str) -> str:
    """Return the command that adds an extra to this installation; takes some milliseconds."""
    return here().install(extra)


def how_to_add(*packages: str) -> str:
    """Return the command that adds packages that belong to no extra; likewise."""
    return here().add(*packages)


def here() -> Installation:
    """Return what this is an installation of."""
    # Needed only where something is missing.
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415
    from importlib.util import find_spec  # noqa: PLC0415

    try:
        origin = distribution(_NAME).read_text("direct_url.json")
    except PackageNotFoundError:  # a clone on the path
        origin = None
    return Installation(
        prefix=sys.prefix,
        python=sys.executable,
        has_pip=find_spec("pip") is not None,
        active=os.environ.get("VIRTUAL_ENV") == sys.prefix or sys.prefix == sys.base_prefix,
        origin=origin,
    )


def _requirement(origin: str | None, extra: str) -> list[str]:
    """Return what pip is to install: from where it came the first time."""
    import json  # noqa: PLC0415 - as above
    from urllib.parse import urlsplit  # noqa: PLC0415
    from urllib.request import url2pathname  # noqa: PLC0415

    try:
        known = json.loads(origin or "{}")
        url = str(known.get("url", ""))
        if vcs := known.get("vcs_info"):
            return [f"{_NAME}[{extra}] @ {vcs['vcs']}+{url}"]
        if "dir_info" in known:
            folder = f"{url2pathname(urlsplit(url).path)}[{extra}]"
            return ["-e", folder] if known["dir_info"].get("editable") else [folder]
    except (ValueError, AttributeError, KeyError, TypeError):  # another installer's own idea
        pass
    return [f"{_NAME}[{extra}]"]
