import errno
import io
import os
import struct
import tempfile
import threading
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.devices.files import (
    NullMicrophone,
    NullSpeaker,
    WavMicrophone,
    WavSpeaker,
    WavWriter,
    read_wav,
)
from retell_voice.devices.ports import Microphone, Speaker
from retell_voice.devices.sound_files import opening, writing
from retell_voice.errors import ConfigError

TIMEOUT = 5.0


def write(path: Path, width: int, channels: int, rate: int, data: bytes) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(data)
    return path


class Sink:
    """Collects until it has enough."""

    def __init__(self, enough: int) -> None:
        self.heard = np.empty(0, np.int16)
        self.enough = enough
        self.full = threading.Event()
        self.finished_at: int | None = None

    def write_rt(self, samples: np.ndarray, delay: float = 0.0, xrun: bool = False) -> None:
        self.heard = np.concatenate((self.heard, samples))
        if len(self.heard) >= self.enough:
            self.full.set()

    def finished(self) -> None:
        assert self.finished_at is None
        self.finished_at = len(self.heard)

    def lost(self, why: str, final: bool = False) -> None:
        raise AssertionError(why)


class Source:
    """Plays a ramp."""

    def __init__(self, enough: int) -> None:
        self.played = 0
        self.enough = enough
        self.full = threading.Event()
        self.why = ""

    def fill_rt(self, out: np.ndarray, delay: float = 0.0, xrun: bool = False) -> None:
        out[:] = np.arange(self.played, self.played + len(out))
        self.played += len(out)
        if self.played >= self.enough:
            self.full.set()

    def lost(self, why: str, final: bool = False) -> None:
        assert final
        self.why = why
        self.full.set()


@pytest.mark.parametrize(
    ("width", "data"),
    [
        (1, bytes([128, 255, 0])),
        (2, np.array([0, 32512, -32768], "<i2").tobytes()),
        (3, b"\0\0\0" + b"\0\x00\x7f" + b"\0\0\x80"),
        (4, np.array([0, 32512 << 16, -(1 << 31)], "<i4").tobytes()),
    ],
)
def test_every_pcm_width_is_read(tmp_path: Path, width: int, data: bytes) -> None:
    samples, rate = read_wav(write(tmp_path / "a.wav", width, 1, 11025, data))
    assert rate == 11025
    assert samples.tolist() == [0, 32512, -32768]


def test_the_extensible_header_of_24_bit_files_is_read(tmp_path: Path) -> None:
    pcm = b"\0\0\0" + b"\0\x00\x7f" + b"\0\0\x80"
    guid = b"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    fmt = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 8000, 24000, 3, 24, 22, 24, 4) + guid
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    body += b"data" + struct.pack("<I", len(pcm)) + pcm + b"\0"
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    samples, rate = read_wav(path)
    assert (rate, samples.tolist()) == (8000, [0, 32512, -32768])


def test_channels_are_averaged_without_overflow(tmp_path: Path) -> None:
    data = np.array([[32767, 32767], [-32768, -32768], [100, -100], [1, 2]], "<i2").tobytes()
    samples, _ = read_wav(write(tmp_path / "a.wav", 2, 2, 8000, data))
    assert samples.tolist() == [32767, -32768, 0, 2]


def test_files_that_are_none_are_refused_in_one_line(tmp_path: Path) -> None:
    text = tmp_path / "a.wav"
    text.write_text("hello")
    cut = tmp_path / "cut.wav"
    cut.write_bytes(b"RIFF\0")
    cases = {
        tmp_path / "none.wav": "No such file",
        tmp_path: "directory",
        text: "not a sound file",
        cut: "not a whole WAV file: it ends before the audio begins",
        write(tmp_path / "empty.wav", 2, 1, 8000, b""): "contains no audio",
    }
    for path, problem in cases.items():
        with pytest.raises(ConfigError, match=problem) as caught:
            read_wav(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 2, 2, 8000, np.arange(8).astype("<i2").tobytes())
    path.write_bytes(path.read_bytes()[:-3])
    samples, _ = read_wav(path)
    assert len(samples) == 3


def test_what_is_written_is_whole_after_every_write(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    writer = WavWriter(path, 24000)
    for _ in range(3):
        writer.write(np.array([1, -2], np.int16))
        samples, rate = read_wav(path)
        assert rate == 24000
        assert samples[-2:].tolist() == [1, -2]
    writer.close()
    writer.close()
    assert len(read_wav(path)[0]) == 6


def test_a_wav_microphone_is_heard_to_its_end_and_then_silent(tmp_path: Path) -> None:
    ramp = np.arange(1, 1001).astype("<i2")
    microphone = WavMicrophone(write(tmp_path / "a.wav", 2, 1, 8000, ramp.tobytes()), speed=20)
    assert isinstance(microphone, Microphone)
    assert (microphone.name, microphone.rate) == ("a.wav", 8000)
    sink = Sink(2000)
    microphone.start(sink)
    assert sink.full.wait(TIMEOUT)
    microphone.stop()
    assert sink.heard[:1000].tolist() == ramp.tolist()
    assert not sink.heard[1000:].any()
    assert sink.finished_at is not None
    assert sink.finished_at >= 1000
    heard = len(sink.heard)
    microphone.stop()
    assert len(sink.heard) == heard


def test_a_wav_microphone_can_be_started_again(tmp_path: Path) -> None:
    microphone = WavMicrophone(write(tmp_path / "a.wav", 2, 1, 8000, b"\5\0" * 400), speed=20)
    for _ in range(2):
        sink = Sink(400)
        microphone.start(sink)
        assert sink.full.wait(TIMEOUT)
        microphone.stop()
        assert sink.heard[:400].tolist() == [5] * 400


def test_a_wav_microphone_takes_the_rate_it_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 2, 1, 8000, np.full(800, 1000, "<i2").tobytes())
    microphone = WavMicrophone(path, 48000, speed=20)
    sink = Sink(4800)
    microphone.start(sink)
    assert sink.full.wait(TIMEOUT)
    microphone.stop()
    assert np.all(np.abs(sink.heard[500:4000].astype(int) - 1000) < 20)


def test_a_wav_speaker_writes_what_it_pulls(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    speaker = WavSpeaker(path, 16000, speed=20)
    assert isinstance(speaker, Speaker)
    source = Source(3200)
    speaker.start(source)
    assert source.full.wait(TIMEOUT)
    speaker.stop()
    samples, rate = read_wav(path)
    assert rate == 16000
    assert samples.tolist() == list(range(source.played))


def test_a_wav_speaker_that_cannot_write_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=" is a directory"):
        WavSpeaker(tmp_path)
    with pytest.raises(ConfigError, match=r"a\.wav: no such directory: .*none$"):
        WavSpeaker(tmp_path / "none" / "a.wav")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
def test_a_full_disk_loses_the_speaker() -> None:
    source = Source(1 << 60)
    speaker = WavSpeaker("/dev/full", 8000, speed=20)
    speaker.start(source)
    assert source.full.wait(TIMEOUT)
    speaker.stop()
    assert source.why == "/dev/full: No space left on device"


class Full(io.FileIO):
    """A disk with room for 0.2 s at 8 kHz."""

    def write(self, data: object) -> int:
        if self.tell() > 3200:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)  # type: ignore[arg-type]  # bytes


def test_a_disk_that_fills_up_says_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    monkeypatch.setattr(writing, "open", lambda path, *_, **__: Full(path, "wb"), raising=False)
    source = Source(1 << 60)
    speaker = WavSpeaker(path, 8000, speed=20)
    speaker.start(source)
    assert source.full.wait(TIMEOUT)
    speaker.stop()
    assert source.why == f"{path}: No space left on device; the first 0.2 s were saved"
    samples, rate = read_wav(path)
    assert (rate, len(samples)) == (8000, 1600)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_what_is_written_is_for_its_owner_alone_and_what_was_there_keeps_its_mode(
    tmp_path: Path,
) -> None:
    for path, mode in ((tmp_path / "new.wav", 0o600), (tmp_path / "old.wav", 0o644)):
        if mode == 0o644:
            path.touch(mode)
            path.chmod(mode)
        WavWriter(path, 8000).close()
        assert path.stat().st_mode & 0o777 == mode


def header(*, rate: int, channels: int = 1, bits: int = 16, size: int, data: bytes) -> bytes:
    block = channels * (bits + 7) // 8
    fields = (1, channels, rate, min(rate * block, 2**32 - 1), block % 65536, bits)
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, *fields)
    body = b"WAVE" + fmt + struct.pack("<4sI", b"data", size) + data
    return b"RIFF" + struct.pack("<I", min(size + 36, 2**32 - 1)) + body


@pytest.mark.parametrize("rate", [0, 1, 999, 768_001, 2**32 - 1])
def test_a_header_that_claims_an_absurd_rate_costs_no_memory(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(header(rate=rate, size=2_000_000, data=bytes(2_000_000)))
    with pytest.raises(ConfigError, match="which is not an audio rate"):
        WavMicrophone(path, 24_000)


def test_a_header_that_claims_more_than_there_is_gives_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(header(rate=8000, size=2**32 - 1, data=b"\5\0" * 80))
    samples, rate = read_wav(path)
    assert (rate, samples.tolist()) == (8000, [5] * 80)


def test_a_file_of_hours_is_no_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LARGEST", 2**20)
    path = write(tmp_path / "a.wav", 2, 1, 8000, bytes(2**20 + 2))
    with pytest.raises(ConfigError, match="larger than 1 MiB, which is hours of audio"):
        read_wav(path)


words = st.integers(0, 2**16 - 1)


@given(
    head=st.binary(max_size=60)
    | st.builds(
        header,
        rate=st.integers(0, 2**32 - 1),
        channels=words,
        bits=words,
        size=st.integers(0, 2**32 - 1),
        data=st.binary(max_size=100),
    ),
    cut=st.integers(0, 100),
)
def test_a_wav_file_is_read_or_said_to_be_none(head: bytes, cut: int) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(head[: len(head) - cut])
        file.flush()
        try:
            samples, rate = read_wav(file.name)
        except ConfigError:
            return
        assert samples.dtype == np.int16
        assert 1000 <= rate <= 768_000


def test_null_devices_keep_time() -> None:
    sink, source = Sink(1600), Source(1600)
    microphone, speaker = NullMicrophone(16000, speed=20), NullSpeaker(16000, speed=20)
    microphone.start(sink)
    speaker.start(source)
    assert sink.full.wait(TIMEOUT)
    assert source.full.wait(TIMEOUT)
    microphone.stop()
    speaker.stop()
    assert not sink.heard.any()
    assert sink.finished_at is None
