"""What an error means for a kiosk: wait for better times, or for someone who mends it. Pure."""

from __future__ import annotations

from retell_voice.errors import (
    CallFailed,
    ConnectError,
    Rejected,
    RestError,
    RetellVoiceError,
    TooManyRequests,
)
from retell_voice.kiosk.states import Event

_IN_TROUBLE = (1001, 1006, 1011, 1012, 1013, 1014)
"""Close codes of a server that goes away, fails, starts again or is overloaded (RFC 6455, IANA)."""

_LONGEST_WAIT = 3600.0


def is_passing(error: BaseException) -> bool:
    """Return whether it goes by without anyone's mending anything: the network, a busy server.

    That a host is not found, or that its certificate is not valid yet, is what a machine sees that
    has just been switched on: without a name server, without the time.
    """
    match error:
        case Rejected():
            return error.temporary or error.code in _IN_TROUBLE
        case RestError():
            return error.temporary
        case ConnectError() | CallFailed():
            return True
    return False


def result_of(error: BaseException | None) -> Event:
    """Return how a call ended that ended with this; None: as calls do."""
    if error is None:
        return Event.OVER
    return Event.CUT_OFF if is_passing(error) else Event.REFUSED


def finding_of(error: BaseException | None) -> Event:
    """Return what a look has found that ended with this; None: all is well."""
    if error is None:
        return Event.WELL
    return Event.UNREACHED if is_passing(error) else Event.UNWELL


def wait_for(error: BaseException | None) -> float:
    """Return the seconds that a server asks to be left alone for, up to an hour.

    A date may be years away, by a clock that is wrong, and nobody is there to start it again.
    """
    if not isinstance(error, TooManyRequests):
        return 0.0
    return min(error.retry_after or 0.0, _LONGEST_WAIT)


def words_of(error: BaseException) -> str:
    """Return an error in one line for people; a defect of this software says that it is one."""
    if isinstance(error, RetellVoiceError):
        return str(error)
    return f"a defect of retell-voice: {type(error).__name__}: {error}"
