"""Whom to trust: the same for every connection.

The system's store, whatever the system; ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` where they are set.
"""

from __future__ import annotations

import os
import ssl

from retell_voice.errors import ConfigError


def client_context() -> ssl.SSLContext:
    """Return the context of a client; reading a store takes some ten milliseconds.

    Raises:
        ConfigError: a variable of the environment names what cannot be used.
    """
    import truststore  # noqa: PLC0415 - most calls on this machine need no TLS

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
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
