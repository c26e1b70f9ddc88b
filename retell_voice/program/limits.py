"""Limits that the system sets a process: named in a line, whichever call they stop."""

from __future__ import annotations

import errno
import sys

from retell_voice.errors import ConfigError

FILES = 24
"""Files that a call in this process takes, and an emulator beside it, at least."""
_LEAST = 170 * 10**6
"""Bytes of address space with which Python and numpy load, if no more."""
_OF_A_CALL = 300 * 10**6
"""Bytes with which a call is held, as a rule: with less, threads often do not begin."""


def require_files() -> None:
    """Refuse to begin what would stop in the middle.

    Raises:
        ConfigError: this process may open fewer files than a call takes.
    """
    if sys.platform == "win32":
        return
    import resource  # there is none on Windows

    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= most < FILES:  # unlimited is negative
        raise ConfigError(
            f"this process may open only {most} files, and a call needs {FILES}", "see ulimit -n"
        )


def require_memory() -> None:
    """Refuse what would end without a word: with less than this, numpy ends the process.

    Raises:
        ConfigError: this process may use too little address space.
    """
    if sys.platform == "win32":
        return
    import resource  # there is none on Windows

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= most < _LEAST:  # unlimited is negative
        raise ConfigError(
            f"this process may use only {most // 10**6} MB of address space, and a call takes "
            f"about {_OF_A_CALL // 10**6}",
            f"see ulimit -v; nothing begins with less than {_LEAST // 10**6} MB",
        )


def exhausted(error: BaseException) -> tuple[str, str] | None:
    """Return what the system had no more of, for people, and what to try; None: nothing."""
    if isinstance(error, MemoryError):
        return "the system gives this process no more memory", "see free, and ulimit -v"
    if not isinstance(error, OSError | ImportError | RuntimeError | LookupError):
        return None
    number = getattr(error, "errno", None)
    if number in (errno.EMFILE, errno.ENFILE):
        return "this process may open no more files", "see ulimit -n"
    if number == errno.ENOMEM or any(each in str(error) for each in _NO_MEMORY):
        return "the system gives this process no more memory", "see free, and ulimit -v"
    if "start new thread" in str(error):
        return "the system gives this process no more threads", "see ulimit -u, and ulimit -v"
    return None


# Of libraries being loaded; Python swallows why it cannot load its own codec for host names.
_NO_MEMORY = ("failed to map segment", "annot allocate memory", "unknown encoding: idna")
