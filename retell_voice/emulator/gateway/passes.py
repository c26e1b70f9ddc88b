"""Who may join a web call: access tokens, each for one caller, once, for a while. Pure."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

from retell_voice.emulator.calls import RegisteredCall
from retell_voice.emulator.rest.replies import HttpError
from retell_voice.protocol.gateway import CALLER
from retell_voice.secret import Secret

EXPIRY = 30.0
"""Seconds within which an access token must be used (Retell, "Create Web Call")."""


@dataclass(eq=False)
class Pass:
    """Lets its bearer join one call.

    Attributes:
        call: the call.
        token: the access token.
        identity: who joins.
        expires_at: Unix time, seconds.
        used: it has been.
    """

    call: RegisteredCall
    token: str = field(repr=False)
    identity: str
    expires_at: float
    used: bool = False


class Passes:
    """The passes of the calls that are not over.

    Args:
        expiry: seconds for which a new one can be used.
    """

    def __init__(self, expiry: float = EXPIRY) -> None:
        self.expiry = expiry
        self._passes: list[Pass] = []

    def issue(self, call: RegisteredCall, now: float, identity: str = CALLER) -> Pass:
        """Make a pass; ``now`` in Unix seconds."""
        self._passes = [each for each in self._passes if not each.call.over]
        made = Pass(call, Secret(secrets.token_urlsafe(48)), identity, now + self.expiry)
        self._passes.append(made)
        return made

    def admit(self, token: str, call: RegisteredCall, now: float) -> Pass:
        """Return the pass to join a call with.

        Raises:
            HttpError: 401, it is not of this call, has been used or has expired.
        """
        found = self._find(token, call)
        if found is None:
            raise HttpError(401, "this access token is not of this call")
        if found.used:
            raise HttpError(401, "this access token has been used: it is for one join")
        if found.expires_at <= now or call.over:
            raise HttpError(401, "this access token has expired")
        return found

    def _find(self, token: str, call: RegisteredCall) -> Pass | None:
        given = token.encode()
        return next(
            (
                each
                for each in self._passes
                if each.call is call and hmac.compare_digest(each.token.encode(), given)
            ),
            None,
        )
