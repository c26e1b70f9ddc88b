"""How a program ends when something is wrong: a line or two for people, and an exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from retell_voice.errors import ConfigError, RetellVoiceError
from retell_voice.program import stdout
from retell_voice.recording.jsonl import error_object

INTERRUPTED = 130
EXIT_CODES: dict[int, str] = {
    0: "the call ended normally; also when Ctrl-C hung it up",
    1: "a defect of this software",
    2: "an option, a setting or one of your files cannot be used",
    3: "a microphone or speaker is missing, cannot be opened or went away",
    4: "the server was not reached: no such host, refused, timeout, TLS",
    5: "the server answered, but not with a call",
    6: "the call broke off: closed with an error, or connection lost",
    7: "the REST API refused the request: key, agent, a field, too many calls",
    INTERRUPTED: "Ctrl-C twice, or before the call began",
    143: "SIGTERM (129: SIGHUP), after hanging up",
}
DEBUG = "RETELL_VOICE_DEBUG"


def complain(message: str, hint: str = "") -> None:
    """Write a line, and one with what to try, to standard error."""
    text = f"retell-voice: {message}\n" + (f"  {hint}\n" if hint else "")
    encoding = sys.stderr.encoding or "ascii"
    with suppress(OSError):
        sys.stderr.write(text.encode(encoding, "replace").decode(encoding))
        sys.stderr.flush()


@contextmanager
def reported(*, debug: bool = False, as_json: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Turn every exception of the body into a message and SystemExit.

    Args:
        debug: show tracebacks.
        as_json: asked at the end whether to also print ``{"event": "error", …}`` on stdout.
    """
    debug = debug or os.environ.get(DEBUG, "") not in ("", "0")
    try:
        yield
        sys.stdout.flush()
    except RetellVoiceError as error:
        if debug:
            _traceback()
        if as_json():
            line = {"event": "error", **error_object(error), "exit_code": error.exit_code}
            with suppress(OSError):
                print(json.dumps(line), flush=True)
        complain(str(error), error.hint)
        code = error.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # the one place that may: known errors are handled above
        if error is stdout.failure():
            raise
        if debug:
            _traceback()
        complain(
            f"this is a defect of retell-voice, please report it: {type(error).__name__}: {error}",
            "" if debug else f"--debug (or {DEBUG}=1) shows where it happened",
        )
        code = 1
    else:
        return
    raise SystemExit(code) from None


@contextmanager
def ending() -> Iterator[None]:
    """Give SystemExit the right code if it was standard output that ended the program."""
    stdout.remember_failures()
    code: object = 0
    try:
        yield
    except SystemExit as exit_:
        code = exit_.code
    except OSError as error:
        if error is not stdout.failure():
            raise
    failure = stdout.failure()
    if failure is None:
        raise SystemExit(code)
    stdout.silence()
    # A more specific code stands; a reader that has gone need not hear of a failed call.
    if code in (None, 0, 1):
        code = 0
        if not stdout.is_no_failure(failure):
            complain(f"the output could not be written: {failure.strerror or failure}")
            code = ConfigError.exit_code
    raise SystemExit(code)


def _traceback() -> None:
    import traceback  # rarely needed, and start-up must be quick

    traceback.print_exc()
