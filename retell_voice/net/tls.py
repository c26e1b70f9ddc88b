"""Whom to trust: the same for every connection.

The system's store, whatever the system; ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` where they are set.
"""

from __future__ import annotations

import os
import ssl
import sys
import time

from retell_voice.errors import ConfigError

_FRESH = 60.0
"""Seconds for which a context is used again: a call connects several times at its start, but a
program that runs for months must notice that the system's store has been updated."""
_kept: dict[tuple[str | None, str | None], tuple[float, ssl.SSLContext]] = {}


def client_context() -> ssl.SSLContext:
    """Return the context of a client; reading a store takes 25 ms, which is done once a minute.

    Raises:
        ConfigError: a variable of the environment names what cannot be used.
    """
    named, now = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")), time.monotonic()
    kept = _kept.get(named)  # looked up once: another thread's call may clear it
    if kept is not None and now - kept[0] < _FRESH:
        return kept[1]
    context = _new_context()
    _kept.clear()
    _kept[named] = now, context
    return context


def _new_context() -> ssl.SSLContext:
    context = _trusting_the_system()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for variable, kind in (("SSL_CERT_FILE", "cafile"), ("SSL_CERT_DIR", "capath")):
        path = os.environ.get(variable)
        if not path:
            continue
        try:
            if kind == "capath" and not os.path.isdir(path):
                raise FileNotFoundError(2, "No such directory")
            context.load_verify_locations(**{kind: path})
        except (OSError, ssl.SSLError) as error:
            why = (
                "there is no certificate in it"
                if isinstance(error, ssl.SSLError)
                else error.strerror or str(error)
            )
            raise ConfigError(
                f"{variable} in the environment cannot be used: {path}: {why}",
                "it names the certificates to trust, in PEM",
            ) from None
    return context


def _trusting_the_system() -> ssl.SSLContext:
    if sys.platform in ("darwin", "win32") or ssl.get_default_verify_paths().cafile is None:
        import truststore  # noqa: PLC0415 - elsewhere it is not needed

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # truststore would do the same, but for every connection anew.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_default_verify_paths()
    return context
