"""Inside a worker: the order of its work, its pipes, and what it must not do."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from retell_voice.audio.format import Samples
from retell_voice.emulator.speech.ports import Speech
from retell_voice.emulator.speech.worker import Requests, answer, asr_work, tts_work
from retell_voice.emulator.speech.workers.frames import Frame, Unpacker
from retell_voice.errors import ConfigError
from retell_voice.events import Word


class TtsEngine:
    about = "a TTS"

    def synthesize(self, text: str) -> Speech:
        if text == "no":
            raise ConfigError("it will not")
        if text == "broken":
            raise RuntimeError("one\ntwo")
        return Speech(np.full(len(text) * 100, 1000, np.int16), 16000, (Word(text, 0.0, 1.0),))


class AsrEngine:
    about = "an ASR"
    rate = 16000

    def recognize(self, samples: Samples) -> tuple[Word, ...]:
        return (Word(str(len(samples)), 0.0, 1.0),)


def test_requests_keep_their_order() -> None:
    requests = Requests()
    for number in range(3):
        requests.put(Frame({"id": number}))
    assert [requests.take().head["id"] for _ in range(3)] == [0, 1, 2]


def test_a_queued_request_can_be_withdrawn() -> None:
    requests = Requests()
    for number in range(3):
        requests.put(Frame({"id": number}))
    requests.put(Frame({"cancel": 1}))
    requests.put(Frame({"cancel": 7}))
    taken = [requests.take().head for _ in range(3)]
    assert taken == [{"id": 0}, {"cancel": 1}, {"id": 2}]


def test_a_withdrawn_request_is_answered_too() -> None:
    withdrawn = answer(tts_work(TtsEngine()), Frame({"cancel": 1}))
    assert withdrawn.head == {"id": 1, "error": "it was withdrawn"}


def test_taking_blocks_until_there_is_a_request() -> None:
    requests, taken = Requests(), []
    taker = threading.Thread(target=lambda: taken.append(requests.take()))
    taker.start()
    requests.put(Frame({"cancel": 0}))
    requests.put(Frame({"id": 1}))
    taker.join(5)
    assert taken == [Frame({"id": 1})]


def test_a_text_is_answered_at_the_rate_of_the_call() -> None:
    said = answer(tts_work(TtsEngine()), Frame({"id": 4, "text": "Hello", "rate": 8000}))
    assert said.head == {"id": 4, "words": [("Hello", 0.0, 1.0)]}
    assert len(said.body) == 2 * 250


def test_audio_is_recognised_at_the_rate_of_the_asr() -> None:
    request = Frame({"id": 5, "rate": 48000}, bytes(2 * 4800))
    assert answer(asr_work(AsrEngine()), request).head["words"] == [("1600", 0.0, 1.0)]
    assert answer(asr_work(AsrEngine()), Frame({"id": 5, "rate": 48000})).head["words"] == []


@pytest.mark.parametrize(
    ("text", "words"), [("no", "it will not"), ("broken", "RuntimeError: one")]
)
def test_a_failure_is_one_line(text: str, words: str) -> None:
    failed = answer(tts_work(TtsEngine()), Frame({"id": 6, "text": text, "rate": 8000}))
    assert failed.head == {"id": 6, "error": words}


def run(code: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, input=b"in", capture_output=True, timeout=30, check=False)


def test_what_a_library_prints_does_not_get_between_frames() -> None:
    done = run(
        "import os; from retell_voice.emulator.speech import worker; "
        "from retell_voice.emulator.speech.workers.frames import Frame; "
        "source, sink = worker._take_pipes(); print('loading', flush=True);"
        "os.system('echo progress'); assert os.read(0, 9) == b''; assert os.read(source, 9) == "
        "b'in'; worker._send(sink, Frame({'ready': 'yes'}))"
    )
    assert done.stderr.split() == [b"loading", b"progress"]
    assert Unpacker().feed(done.stdout) == [Frame({"ready": "yes"})]


@pytest.mark.parametrize(
    "call", ["create_connection(('127.0.0.1', 9))", "getaddrinfo('localhost', 80)"]
)
def test_it_opens_no_connection(call: str) -> None:
    done = run(
        "import socket, sys; from retell_voice.emulator.speech import worker;"
        f"sys.addaudithook(worker._stay_offline); socket.{call}"
    )
    assert b"PermissionError: a worker opens no connection" in done.stderr


def test_input_that_is_not_a_frame_ends_it() -> None:
    command = [sys.executable, "-m", "retell_voice.emulator.speech.worker", "espeak"]
    done = subprocess.run(
        command, input=b"espeak, say hello", capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert b"too large" in done.stderr
