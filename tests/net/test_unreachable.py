"""Words for a server that was not reached."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from retell_voice.net.unreachable import explain_unreachable

HOST = "host.example:81"


@pytest.mark.parametrize(
    ("error", "words", "temporary"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "not known"),
            "no such host: host.example (not known)",
            False,
        ),
        (socket.gaierror(socket.EAI_AGAIN, "later"), "no such host: host.example (later)", True),
        (TimeoutError(), f"{HOST} did not answer within 0.5 s", True),
        (ssl.SSLError(1, "bad"), f"TLS with {HOST} failed: {ssl.SSLError(1, 'bad')}", False),
        (
            OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)),
            f"{HOST} refused the connection",
            True,
        ),
        (
            OSError(f"Multiple exceptions: [Errno {errno.ECONNREFUSED}] a, [Errno 1] b"),
            f"{HOST} refused the connection",
            True,
        ),
        (
            OSError(errno.ENETUNREACH, "no route"),
            f"cannot connect to {HOST}: no route",
            True,
        ),
        (EOFError(), f"cannot connect to {HOST}: EOFError", True),
    ],
)
def test_each_failure_in_words(error: Exception, words: str, temporary: bool) -> None:
    told = explain_unreachable(error, HOST, 0.5)
    assert (told.words, told.temporary) == (words, temporary)
    assert told.hint


def test_a_certificate_that_is_not_valid() -> None:
    error = ssl.SSLCertVerificationError(1, "bad")
    error.verify_message = "it has expired"
    told = explain_unreachable(error, HOST, 1.0)
    assert told.words == f"the TLS certificate of {HOST} is not valid: it has expired"
    assert not told.temporary
