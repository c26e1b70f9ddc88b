"""Records a call into its own directory.

::

    DIR/2026-01-31T12-00-00/       local time, readable only by you
        audio.wav                  stereo: left you as sent, right the agent as heard
        transcript.json, .txt      the conversation so far
        events.jsonl               everything that happened, one JSON object per line

Everything is written during the call and can be read at any moment, even after the program was
killed. Disk trouble (a stall, a full disk) does not affect the call: writing happens on a thread,
and if it fails the call goes on and is notified once.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO

from retell_voice.engine.observer import Observed
from retell_voice.errors import ConfigError
from retell_voice.events import Event, RecordingStopped
from retell_voice.private import privately
from retell_voice.recording import story
from retell_voice.recording.align import Pairing, pause
from retell_voice.recording.jsonl import line, to_json
from retell_voice.recording.wav import MOST, StereoWav

DEFAULT_LIMIT = 2 * 3600.0
"""Seconds of a call to record: 0.7 GB at 24 kHz."""
_EVENT_BYTES = 64 * 2**20
_EVENTS_WAITING = 10_000
_TRANSCRIPT_INTERVAL = 2.0
_END_SECONDS = 5.0
_A_SECOND = 1000


class Recorder:
    """An observer of one call, given to ``Call(recorder=…)``.

    Args:
        directory: where to create the call's directory; created if missing.
        limit: seconds after which recording ends, with a ``RecordingStopped``.

    Raises:
        ConfigError: the directory cannot be created or written to.
    """

    def __init__(self, directory: Path | str, *, limit: float = DEFAULT_LIMIT) -> None:
        self.path: Path | None = None
        """The call's own directory, once it has begun."""
        self._parent = Path(os.path.expanduser(directory))  # unchanged if there is no home
        self._limit = limit
        self._events: deque[Event] = deque(maxlen=_EVENTS_WAITING)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._tell: Callable[[Event], None] = lambda _: None
        try:
            self._parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError:
            raise ConfigError(f"{directory}: a file, and recordings need a directory") from None
        except OSError as error:
            raise ConfigError(f"{directory}: {error.strerror or error}") from None
        if not os.access(self._parent, os.W_OK | os.X_OK):
            raise ConfigError(f"{directory}: no permission to write there")

    def begin(self, call: Observed) -> None:
        """Create the directory and start writing."""
        self._tell = call.tell
        try:
            self.path = _new_directory(self._parent)
            files = _Files(self.path, call, self._limit)
        except OSError as error:
            self._stop(error.strerror or str(error))
            return
        self._thread = threading.Thread(
            target=self._run, args=(files,), name="retell-voice record", daemon=True
        )
        self._thread.start()

    def event(self, event: Event) -> None:
        """Queue an event to be written."""
        self._events.append(event)

    def end(self) -> None:
        """Write what is left and close everything, within five seconds."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_END_SECONDS)

    def _run(self, files: _Files) -> None:
        why = ""
        try:
            looks = 0
            while not (why or self._stopping.wait(pause(looks))):
                looks += 1
                why = files.write(self._events)
            if not why:
                files.write(self._events, last=True)
        except OSError as error:
            why = error.strerror or str(error)
        except Exception as error:  # a defect of ours: the call still goes on
            why = f"a defect of this software: {error!r}"
        finally:
            files.close(why)
        if why:
            self._stop(why)

    def _stop(self, why: str) -> None:
        self._events = deque(maxlen=0)
        self._tell(RecordingStopped(path=str(self.path or self._parent), why=why))


class _Files:
    """The files of one call; used on one thread."""

    def __init__(self, path: Path, call: Observed, limit: float) -> None:
        rate = call.audio.rate
        self._path = path
        self._call = call
        self._most = min(round(limit * rate), MOST // 4)
        self._limit = limit
        self._pairing = Pairing(call.near_end.rate, call.far_end.rate, rate)
        self._near_read = self._far_read = 0
        self._story = story.Story()
        self._transcribed: tuple[object, ...] = ()
        self._transcript_due = 0.0
        self._bytes = 0
        self._began = time.time()
        self._lines: IO[bytes] = _create(path / "events.jsonl")
        self._wav = StereoWav(path / "audio.wav", rate)
        self._write_line(
            to_json(
                {
                    "event": "recording",
                    "at": call.at,
                    "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(self._began)),
                    "encoding": str(call.audio.encoding),
                    "rate": rate,
                    "microphone": call.microphone,
                    "speaker": call.speaker,
                }
            )
        )

    def write(self, events: deque[Event], *, last: bool = False) -> str:
        """Write what has come; return why nothing more can be written, empty if it can."""
        call, pairing = self._call, self._pairing
        if not last:  # the devices have stopped by then
            pairing.look(*call.moments())
        near, self._near_read = call.near_end.read(self._near_read)
        far, self._far_read = call.far_end.read(self._far_read)
        pairing.push(near, far)
        frames = pairing.pull(last=last)
        self._wav.write(frames[: self._most - self._wav.frames])
        while events:
            self._write_line(self._story.tell(events.popleft()))
        self._write_transcript(now=last)
        if self._wav.frames >= self._most:
            return f"the limit of {self._limit / 3600:g} hours has been reached"
        if self._bytes > _EVENT_BYTES:
            return f"the events have reached {_EVENT_BYTES >> 20} MB"
        return ""

    def close(self, why: str) -> None:
        """Close everything, whatever happens."""
        try:
            self._write_transcript(now=True)
            if why:
                at = self._call.at + self._wav.frames / self._call.audio.rate
                self._write_line(line(RecordingStopped(at=at, path=str(self._path), why=why)))
        except OSError:
            pass  # already reported
        finally:
            self._lines.close()
            self._wav.close()

    def _write_line(self, text: str) -> None:
        data = text.encode() + b"\n"
        self._bytes += len(data)
        while data:
            data = data[self._lines.write(data) :]

    def _write_transcript(self, *, now: bool) -> None:
        utterances = self._story.utterances
        if utterances == self._transcribed or not (now or time.monotonic() >= self._transcript_due):
            return
        self._transcript_due = time.monotonic() + _TRANSCRIPT_INTERVAL
        self._transcribed = utterances
        for name, text in (
            ("transcript.json", story.as_json(utterances)),
            ("transcript.txt", story.as_text(utterances)),
        ):
            # Replaced as a whole: a reader finds the old one or the new one.
            new = self._path / f".{name}.new"
            new.unlink(missing_ok=True)
            with _create(new) as file:
                file.write(text.encode("utf-8", "replace"))
            new.replace(self._path / name)


def _new_directory(parent: Path) -> Path:
    """Create a directory named after the time, with a number appended if that exists."""
    name = time.strftime("%Y-%m-%dT%H-%M-%S")
    for number in range(1, _A_SECOND):
        path = parent / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{parent / name}: too many of that name")


def _create(path: Path) -> IO[bytes]:
    """Create a file that nobody else may read."""
    return open(path, "xb", buffering=0, opener=privately)
