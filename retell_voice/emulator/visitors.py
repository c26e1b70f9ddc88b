"""Who may ask the emulator: programs, and pages of this machine.

A web page can send requests to any port of the machine that shows it, and open WebSockets. Two
headers that a browser lets no page choose tell of that: ``Origin``, whose page it is, and ``Host``,
the name under which it looks for us, which is the page's own where a name was bound to our address
later (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping

_NAME = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://)?(\[[0-9a-f:.]+\]|[^\s/:@\[\]]+)(?::\d{1,5})?", re.ASCII
)


class Visitors:
    """Admits requests by their headers.

    Args:
        names: hosts that count as ours besides this machine's own names; ``*``: any.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = {each.lower() for each in names}
        self._own = {socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"}

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """Return why a request is refused, for people; None where it is not.

        Args:
            headers: of the request, names in lower case.
        """
        if "*" in self._names:
            return None
        host, origin = headers.get("host"), headers.get("origin")
        if host is not None and not self._is_ours(host, numbers=True):
            return f"the host {host[:100]!r} is not this emulator's: --allowed-hosts names more"
        if origin is None or self._is_ours(origin, numbers=False):
            return None
        if host is not None and _name(origin) == _name(host):  # a page that came from here itself
            return None
        return f"pages of {origin[:100]!r} may not ask: --allowed-hosts names those that may"

    def _is_ours(self, shown: str, *, numbers: bool) -> bool:
        """Tell whether a host or an origin is ours; ``numbers``: any IP address is.

        An address cannot be bound to another later: a page that asks under one is not disguised.
        """
        name = _name(shown)
        if name is None:
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            local = name == "localhost" or name.endswith(".localhost") or name in self._own
            return local or name in self._names
        return numbers or address.is_loopback or name in self._names


def _name(shown: str) -> str | None:
    """Return the host in a ``Host`` or an ``Origin``, without port and brackets."""
    found = _NAME.fullmatch(shown.strip().lower())
    return None if found is None else found[1].strip("[]").rstrip(".")
