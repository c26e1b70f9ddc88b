"""How a program ends when something is wrong: a line or two for people, and an exit code."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO

from retell_voice.devices.portaudio import library
from retell_voice.errors import ConfigError, RetellVoiceError
from retell_voice.program import stdout
from retell_voice.program.interrupt import (
    INTERRUPTED,
    exit_on_interrupt,
    exit_on_interrupt_from_here,
)
from retell_voice.program.limits import exhausted, require_memory
from retell_voice.program.realtime import collect_as_usual
from retell_voice.shown import CleanStderr, clean, clean_lines, escape_json

EXIT_CODES: dict[int, str] = {
    0: "the call ended normally; also when Ctrl-C hung it up",
    1: "a defect of this software",
    2: "an option, a setting, a file or a system limit cannot be used",
    3: "a microphone or speaker is missing, cannot be opened or went away",
    4: "the server was not reached: no such host, refused, timeout, TLS",
    5: "the server answered, but not with a call",
    6: "the call broke off: closed with an error, or connection lost",
    7: "the REST API refused the request: key, agent, a field, too many calls",
    INTERRUPTED: "Ctrl-C twice, or before the call began",
    143: "SIGTERM (129: SIGHUP), after hanging up",
}
DEBUG = "RETELL_VOICE_DEBUG"
_STDERR_TIMEOUT = 1.0
"""Seconds that standard error may stall."""
_PIECE = 1000
"""Characters that a pipe with any room takes at once."""
_stderr_timeout = _STDERR_TIMEOUT


def complain(message: str, hint: str = "") -> None:
    """Write a line, and one with what to try, to standard error."""
    remark(f"retell-voice: {message}\n  {hint}" if hint else f"retell-voice: {message}")


def remark(text: str) -> None:
    """Write lines to standard error, made safe to show; without one, nowhere.

    A stalled reader does not block the program.
    """
    global _stderr_timeout  # noqa: PLW0603 - a process has one standard error
    if sys.stderr is None:
        return
    text = f"{clean_lines(text)}\n"
    for begin in range(0, len(text), _PIECE):
        takes = stdout.takes_more(sys.stderr, _stderr_timeout)
        _stderr_timeout = _STDERR_TIMEOUT if takes else 0.0  # waited for once
        if not takes:
            return  # what follows would make no sense
        _write(sys.stderr, text[begin : begin + _PIECE])


def progress(text: str) -> None:
    """Write a line over the last one, on standard error, which is a terminal; nothing while that
    is stopped (Ctrl-S). Never blocks."""
    if sys.stderr is not None and stdout.takes_more(sys.stderr, 0.0):
        _write(sys.stderr, f"\r\x1b[K{clean(text)}")


def _write(stream: TextIO, text: str) -> None:
    encoding = getattr(stream, "encoding", None) or "ascii"
    with suppress(OSError, ValueError):
        stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()


@contextmanager
def reported(*, debug: bool = False, as_json: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Turn every exception of the body into a message and SystemExit.

    Args:
        debug: show tracebacks.
        as_json: asked at the end whether to also print ``{"event": "error", …}`` on stdout.
    """
    debug = debug or os.environ.get(DEBUG, "") not in ("", "0")
    try:
        if signal.getsignal(signal.SIGINT) is exit_on_interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        require_memory()
        collect_as_usual()
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except RetellVoiceError as error:
        if debug:
            _traceback()
        if as_json():
            from retell_voice.recording.jsonl import error_object  # events take a while to load

            line = {"event": "error", **error_object(error), "exit_code": error.exit_code}
            with suppress(OSError):
                stdout.say(escape_json(json.dumps(line)))
        complain(str(error), error.hint)
        code = error.exit_code
    except KeyboardInterrupt:
        stdout.silence()  # Python would wait for a stalled reader at exit
        code = INTERRUPTED
    except Exception as error:  # the one place that may: known errors are handled above
        if error is stdout.failure():
            raise
        if debug:
            _traceback()
        if (limit := exhausted(error)) is not None:
            complain(*limit)
            raise SystemExit(ConfigError.exit_code) from None
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
    logging.lastResort = CleanStderr()
    code: object = 0
    try:
        yield
    except SystemExit as exit_:
        code = exit_.code
    except MemoryError:  # too little even to say it the usual way
        with suppress(OSError):
            os.write(2, b"retell-voice: the system gives this process no more memory\n")
        os._exit(ConfigError.exit_code)
    except OSError as error:
        if error is not stdout.failure():
            raise
    exit_on_interrupt_from_here()
    failure = stdout.failure()
    if stdout.is_abandoned():
        _end_at_once(code, sys.stderr)
    if failure is not None:
        stdout.silence()
        # A more specific code stands; a reader that has gone need not hear of a failed call.
        if code in (None, 0, 1):
            code = 0
            if not stdout.is_no_failure(failure):
                complain(f"the output could not be written: {failure.strerror or failure}")
                code = ConfigError.exit_code
    if library.is_left_open():
        _end_at_once(code, sys.stdout, sys.stderr)
    raise SystemExit(code)


def _end_at_once(code: object, *streams: TextIO) -> NoReturn:
    """End the process without waiting for anything, its output flushed."""
    for stream in streams:
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _traceback() -> None:
    import traceback  # rarely needed, and start-up must be quick

    remark(traceback.format_exc().rstrip())
