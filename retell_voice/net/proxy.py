"""The proxy that the environment asks for, in every form in which people write that.

::

    https_proxy=http://user:password@proxy:3128   HTTPS_PROXY=proxy:3128   all_proxy=socks5h://proxy
    no_proxy=localhost,.example.com,*.example.org,10.0.0.0/8,[::1],fd00::/8,host:8080   no_proxy=*

What cannot be used is an error that names the variable, and never a connection past the proxy.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from retell_voice.errors import ConfigError, show
from retell_voice.secret import mask_url

_PORTS = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}
_SCHEMES = {
    "wss": ("wss", "https", "all"),
    "ws": ("ws", "http", "all"),
    "https": ("https", "all"),
    "http": ("http", "all"),
}
_IS_LOCAL = re.compile(r"(localhost\.?|127(\.\d{1,3}){3}|::1)", re.IGNORECASE)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy.

    Attributes:
        url: whole; it may hold a password.
        name: host and port, for people.
        source: the variable it comes from, or ``the system``.
    """

    url: str = field(repr=False)
    name: str
    source: str


def proxy_for(url: str, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """Return the proxy for a URL (http, https, ws, wss); None: none, as always for this machine.

    Args:
        url: what is to be reached.
        environ: the environment; None: the real one, and after it the settings of the system.

    Raises:
        ConfigError: a variable that counts cannot be used.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
    if _IS_LOCAL.fullmatch(host):
        return None
    real = environ is None
    environ = os.environ if environ is None else environ
    for scheme in _SCHEMES[parts.scheme]:
        source, value = _variable(f"{scheme}_proxy", environ)
        if value:
            break
    else:
        return _of_system(parts.scheme, host) if real else None
    if _is_excepted(host, port, environ):
        return None
    return _parsed(value, source)


def _variable(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the name under which a variable is set, and its value; the lower case one wins."""
    for each in (name, name.upper()):
        # With CGI, a header of a request sets this one.
        if each == "HTTP_PROXY" and "REQUEST_METHOD" in environ:
            continue
        if value := environ.get(each, "").strip():
            return each, value
    return name, ""


def _parsed(value: str, source: str) -> Proxy:
    """Return the proxy that a variable names."""
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is none, half of an IPv6 address
        raise _unusable(source, value, "it is no URL") from None
    scheme = parts.scheme.lower()
    if not scheme:
        raise _unusable(source, value, "it is no URL")
    if scheme not in _PORTS:
        raise _unusable(source, value, f"there are no {scheme}:// proxies")
    if not host or re.search(r"[\s'\"]", host) or (parts.path not in ("", "/")):
        raise _unusable(source, value, "it has no host" if not host else "it is no URL")
    if port == 0:
        raise _unusable(source, value, "it has no usable port")
    port = port or _PORTS[scheme]
    shown = f"[{host}]" if ":" in host else host
    user = ""
    if parts.username is not None:  # both have been written escaped and as they are
        name, password = unquote(parts.username), unquote(parts.password or "")
        user = f"{quote(name, safe='')}:{quote(password, safe='')}@"
    return Proxy(f"{scheme}://{user}{shown}:{port}", f"{shown}:{port}", source)


def _unusable(source: str, value: str, why: str) -> ConfigError:
    return ConfigError(
        f"{source} in the environment cannot be used: {show(mask_url(value))}: {why}",
        "it looks like http://proxy.example.com:3128; unset it, or exempt this host with no_proxy",
    )


def _is_excepted(host: str, port: int, environ: Mapping[str, str]) -> bool:
    """Tell whether ``no_proxy`` names a host, or its network."""
    source, value = _variable("no_proxy", environ)
    entries = filter(None, re.split(r"[\s,;]+", value.lower()))
    address = _address(host)
    found = False
    for entry in entries:
        if "/" in entry:
            network = _network(entry, source)  # each: what is wrong is told, wherever it stands
            found = found or (address is not None and address in network)
        else:
            found = found or _is_meant(entry, host, port, address)
    return found


def _is_meant(entry: str, host: str, port: int, address: _Address | None) -> bool:
    name, for_port = _host_and_port(entry)
    if for_port not in (None, port):
        return False
    if name == "*":
        return True
    if address is not None:
        return _address(name) == address
    name = name.removeprefix("*").strip(".")
    host = host.rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _network(entry: str, source: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(re.sub(r"[\[\]]", "", entry), strict=False)
    except ValueError:
        raise ConfigError(
            f"{source} in the environment cannot be used: {show(entry)} is no network",
            "one looks like 10.0.0.0/8 or fd00::/8",
        ) from None


def _host_and_port(entry: str) -> tuple[str, int | None]:
    if found := re.fullmatch(r"\[([^\]]*)\](?::(\d+))?", entry):
        return found[1], int(found[2]) if found[2] else None
    if found := re.fullmatch(r"([^:]*):(\d+)", entry):
        return found[1], int(found[2])
    return entry, None


def _of_system(scheme: str, host: str) -> Proxy | None:
    """Return what macOS and Windows are set to."""
    if sys.platform not in ("darwin", "win32") or urllib.request.proxy_bypass(host):
        return None
    found = urllib.request.getproxies()
    value = found.get({"wss": "https", "ws": "http"}.get(scheme, scheme)) or found.get("socks")
    return _parsed(value, "the proxy of the system") if value else None
