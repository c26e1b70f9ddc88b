"""The process of one engine: ``python -m retell_voice.emulator.speech.worker KIND [--model M] …``.

::

    stdin ─▶ [reader thread: frames] ─▶ requests ─▶ [main thread: the engine] ─▶ stdout

Not for people: ``workers.client`` starts it and talks to it in the frames of ``workers.frames``.
Its first frame is ``{"ready": …, "seconds": …}`` or ``{"failed": …, "hint": …}``. After that every
request has an ``id``, and so has its answer:

- ``{"text": …, "rate": …}`` → ``{"words": [[word, start, end], …]}`` and samples
- ``{"rate": …}`` and samples → ``{"words": …}``

or ``{"error": …}``. ``{"cancel": id}`` withdraws a request that is still queued; its answer is then
an error, so that every request has exactly one answer. The process exits as soon as stdin ends,
whatever it is doing, and so does not outlive a killed emulator. Ctrl-C and SIGTERM are for the
emulator to handle. It opens no connection.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.resample import resample_whole
from retell_voice.emulator.speech.workers.frames import Frame, FrameError, Unpacker, pack
from retell_voice.emulator.speech.workers.ports import AsrEngine, TtsEngine
from retell_voice.errors import RetellVoiceError
from retell_voice.events import Word

Work: TypeAlias = Callable[[Frame], tuple[tuple[Word, ...], Samples]]
"""Handles a request: returns words, and samples at the rate it asks for."""

_NICE = 5  # the audio of the calls goes first


class Requests:
    """A queue of requests, from one thread to another.

    A cancelled request is replaced by its cancellation, which is answered in its place.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, Frame] = {}
        self._news = threading.Condition()

    def put(self, request: Frame) -> None:
        """Add a request, or withdraw the one it cancels if that is still queued."""
        with self._news:
            if "cancel" in request.head:
                if (number := request.head["cancel"]) in self._waiting:
                    self._waiting[number] = request
            else:
                self._waiting[request.head["id"]] = request
                self._news.notify()

    def take(self) -> Frame:
        """Return the next one; blocks until there is one."""
        with self._news:
            self._news.wait_for(lambda: self._waiting)
            return self._waiting.pop(next(iter(self._waiting)))


def tts_work(engine: TtsEngine) -> Work:
    """Return what handles the requests to a TTS engine."""

    def work(request: Frame) -> tuple[tuple[Word, ...], Samples]:
        speech = engine.synthesize(request.head["text"])
        return speech.words, resample_whole(speech.samples, speech.rate, request.head["rate"])

    return work


def asr_work(engine: AsrEngine) -> Work:
    """Return what handles the requests to an ASR engine."""

    def work(request: Frame) -> tuple[tuple[Word, ...], Samples]:
        samples = np.frombuffer(request.body, "<i2").astype(np.int16)
        if not len(samples):
            return (), samples
        words = engine.recognize(resample_whole(samples, request.head["rate"], engine.rate))
        return words, samples[:0]

    return work


def load(kind: str, model: str, language: str) -> tuple[str, Work]:
    """Load and warm up an engine; return a few words about it and what handles its requests.

    Imports here, because each library is large and may be the only one installed.

    Raises:
        Exception: whatever a library raises when something is missing or broken.
    """
    threads = min(4, _cores())
    if kind in ("piper", "espeak"):
        tts: TtsEngine
        if kind == "piper":
            from retell_voice.emulator.speech.workers.piper import Piper

            tts = Piper(model, threads)
        else:
            from retell_voice.emulator.speech.workers.espeak import Espeak

            tts = Espeak(language)
        tts.synthesize("Hello.")
        return tts.about, tts_work(tts)
    asr: AsrEngine
    if kind == "whisper":
        from retell_voice.emulator.speech.workers.whisper import Whisper

        asr = Whisper(model, language, threads)
    else:
        from retell_voice.emulator.speech.workers.sphinx import Sphinx

        asr = Sphinx(language)
    asr.recognize(np.zeros(asr.rate, np.int16))
    return asr.about, asr_work(asr)


def answer(work: Work, request: Frame) -> Frame:
    """Return the answer to a request."""
    if "cancel" in request.head:
        return Frame({"id": request.head["cancel"], "error": "it was withdrawn"})
    number = request.head["id"]
    try:
        words, samples = work(request)
    except Exception as error:
        return Frame({"id": number, "error": _words(error)})
    table = [(word.word, word.start, word.end) for word in words]
    return Frame({"id": number, "words": table}, samples.astype("<i2").tobytes())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker."""
    options = argparse.ArgumentParser(prog="retell_voice.emulator.speech.worker")
    options.add_argument("kind", choices=["piper", "espeak", "whisper", "pocketsphinx"])
    options.add_argument("--model", default="")
    options.add_argument("--language", default="en")
    given = options.parse_args(arguments)
    # Sent to the whole terminal or service: the emulator handles them, and takes this along.
    for name in ("SIGINT", "SIGHUP", "SIGTERM"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    requests = Requests()
    source, sink = _take_pipes()
    threading.Thread(target=_read, args=(source, requests), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(_NICE)
    sys.addaudithook(_stay_offline)
    began = time.monotonic()
    try:
        about, work = load(given.kind, given.model, given.language)
    except Exception as error:
        hint = error.hint if isinstance(error, RetellVoiceError) else ""
        _send(sink, Frame({"failed": _words(error), "hint": hint}))
        return 1
    _send(sink, Frame({"ready": about, "seconds": time.monotonic() - began}))
    while True:
        _send(sink, answer(work, requests.take()))


def _take_pipes() -> tuple[int, int]:
    """Keep stdin and stdout for frames only: whatever a library prints goes to stderr."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return source, sink


def _read(source: int, requests: Requests) -> None:
    unpacker = Unpacker()
    try:
        while data := os.read(source, 1 << 16):
            for request in unpacker.feed(data):
                requests.put(request)
    except FrameError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)
    except OSError:  # Windows: a broken pipe is an error, not an end
        pass
    os._exit(0)  # whatever the main thread is doing


def _send(sink: int, frame: Frame) -> None:
    data = memoryview(pack(frame))
    try:
        while data:
            data = data[os.write(sink, data) :]
    except OSError:
        os._exit(0)  # the emulator is gone


def _stay_offline(event: str, _: object) -> None:
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise PermissionError("a worker opens no connection")


def _words(error: Exception) -> str:
    if isinstance(error, RetellVoiceError):
        return str(error)
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
