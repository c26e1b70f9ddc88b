"""Every error this package raises on purpose.

::

    RetellVoiceError                 exit code
    ├── ConfigError                      2     yours: an option, a setting, a file
    │   └── AudioFormatError             2     an encoding, rate or frame length out of range
    ├── DeviceError                      3     the device's: microphone or speaker
    │   ├── DeviceNotFound               3     no such device, or none at all
    │   └── DeviceLost                   3     it went away during the call
    ├── ConnectError                     4     the network's: the server was not reached
    │   └── Rejected                     5     the server's: it answered, but not with a call
    ├── CallFailed                       6     the server's or the network's: the call broke off
    └── RestError                        7     the REST API's: it answered, but with an error
        ├── KeyRefused                   7     401, 403: the API key
        ├── NotFound                     7     404: the agent, or the call
        ├── FieldRefused                 7     400, 422: a field, and which
        └── TooManyRequests              7     429: wait, and how long

Each has a one-line message for people (``str(error)``) and, where there is something to try, a
``hint``, which is also a note of the exception, so that a traceback shows it. No message ever
contains a whole call_id or API key.

Exit codes of the programs: 0 the call ended normally, 1 a defect of this software, the
table above, 130 if Ctrl-C was pressed twice or before the call began, 143 and 129
after SIGTERM and SIGHUP.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from retell_voice.shown import clean


class RetellVoiceError(Exception):
    """Base of every error raised on purpose.

    Args:
        message: one line: what happened and which part failed. Quoted text is made safe to show.
        hint: one line: what to try; empty if there is nothing to suggest.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(clean(message))
        self.hint = clean(hint)
        if hint:
            self.add_note(self.hint)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how it is pickled: fields that subclasses must be given by name are kept."""
        return _unpickled, (type(self), self.args, self.__dict__)


def _unpickled(
    kind: type[RetellVoiceError], args: tuple[Any, ...], state: dict[str, Any]
) -> RetellVoiceError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ConfigError(RetellVoiceError):
    """A setting, an option or one of your files cannot be used."""

    exit_code = 2


class AudioFormatError(ConfigError):
    """An encoding, sample rate or frame length that the Audio WebSocket does not support."""


class DeviceError(RetellVoiceError):
    """A microphone or a speaker could not be used."""

    exit_code = 3


class DeviceNotFound(DeviceError):
    """There is no device with that name, or no device at all."""


class DeviceLost(DeviceError):
    """A device stopped working during the call."""


class ConnectError(RetellVoiceError):
    """The server could not be reached: no such host, refused, timed out, TLS failed.

    Attributes:
        temporary: the same attempt may succeed a moment later.
    """

    exit_code = 4

    def __init__(self, message: str, hint: str = "", *, temporary: bool = False) -> None:
        super().__init__(message, hint)
        self.temporary = temporary


class Rejected(ConnectError):
    """The server was reached but did not open the call.

    Attributes:
        status: HTTP status it answered with instead of a WebSocket, or None.
        code: WebSocket close code when it closed before the call began, or None.
    """

    exit_code = 5

    def __init__(
        self, message: str, hint: str = "", *, status: int | None = None, code: int | None = None
    ) -> None:
        # A server that is overloaded or restarting says 429 or 5xx; a 4xx stays what it is.
        super().__init__(message, hint, temporary=status == 429 or (status or 0) >= 500)
        self.status = status
        self.code = code


class CallFailed(RetellVoiceError):
    """The call broke off: the server closed it with an error, or the connection was lost.

    Attributes:
        code: WebSocket close code; 1006 when the connection broke without one.
        reason: the server's words, possibly empty.
    """

    exit_code = 6

    def __init__(self, message: str, hint: str = "", *, code: int = 1006, reason: str = "") -> None:
        super().__init__(message, hint)
        self.code = code
        self.reason = reason


class RestError(RetellVoiceError):
    """Retell's REST API was reached but did not do what was asked.

    Attributes:
        status: HTTP status it answered with; 200 or 201 if the answer makes no sense.
        temporary: the same request may succeed a moment later.
    """

    exit_code = 7

    def __init__(self, message: str, hint: str = "", *, status: int) -> None:
        super().__init__(message, hint)
        self.status = status
        self.temporary = status == 429 or status >= 500


class KeyRefused(RestError):
    """The server does not accept the API key."""


class NotFound(RestError):
    """The server knows no such agent, or no such call."""


class FieldRefused(RestError):
    """The server does not accept a field of the request.

    Attributes:
        field: its name; empty if the server does not say.
    """

    def __init__(self, message: str, hint: str = "", *, status: int, field: str = "") -> None:
        super().__init__(message, hint, status=status)
        self.field = field


class TooManyRequests(RestError):
    """There are too many requests, or too many calls at a time.

    Attributes:
        retry_after: seconds to wait; None if the server does not say.
    """

    def __init__(
        self, message: str, hint: str = "", *, status: int, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint, status=status)
        self.retry_after = retry_after


def show(value: object) -> str:
    """Return a wrong value for a message, shortened if long."""
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python prints
        text = "such a long number"
    except RecursionError:
        text = "something nested too deeply"
    return text if len(text) <= 60 else f"{text[:59]}…"


def did_you_mean(given: str, known: list[str] | tuple[str, ...]) -> str:
    """Return a hint: the closest known name, or all of them."""
    return closest(given, known) or f"known: {', '.join(known)}"


def closest(given: str, known: list[str] | tuple[str, ...]) -> str:
    """Return a hint: the closest known name; empty: none is. For messages that name them all."""
    close = get_close_matches(given, known, n=1)
    return f"did you mean {close[0]}?" if close else ""
