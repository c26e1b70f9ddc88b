"""Sound files as other programs write them."""

from __future__ import annotations

import io
import logging
import os
import struct
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.devices.files import Raw, WavMicrophone, WavSpeaker, read_wav
from retell_voice.devices.sound_files.opening import Sound, is_pipe
from retell_voice.devices.sound_files.pcm import ALAW, MULAW
from retell_voice.devices.sound_files.playlist import FileBlocks, PipeBlocks, Playlist
from retell_voice.devices.sound_files.wav import NoWav, OtherCodec, Rereadable, open_wav
from retell_voice.devices.sound_files.writing import StreamWriter
from retell_voice.errors import ConfigError

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

RATE = 22050
SOUND = (10000 * np.sin(np.arange(RATE // 2) / 9)).astype(np.int16)
PCM = SOUND.astype("<i2").tobytes()
ALL_ONES = 2**32 - 1
SUBTYPE = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"


def chunk(name: bytes, content: bytes, size: int | None = None, pad: bytes = b"\0") -> bytes:
    head = struct.pack("<4sI", name, len(content) if size is None else size)
    return head + content + pad * (len(content) % 2)


def fmt(tag: int = 1, channels: int = 1, bits: int = 16, block: int = 0) -> bytes:
    block = block or channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, RATE, RATE * block, block, bits)


def extensible(tag: int, bits: int, block: int, *, valid: int = 0) -> bytes:
    more = struct.pack("<HHIH", 22, valid or bits, 4, tag) + SUBTYPE
    return fmt(0xFFFE, bits=bits, block=block) + more


def wav(*chunks: bytes, size: int | None = None, name: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return name + struct.pack("<I", len(body) if size is None else size) + body


def s24(samples: np.ndarray[Any, Any]) -> bytes:
    return b"".join((each << 8).to_bytes(3, "little", signed=True) for each in samples.tolist())


HAND_MADE: dict[str, bytes] = {
    "audacity: a LIST before the audio": wav(
        chunk(b"fmt ", fmt()), chunk(b"LIST", b"INFOIART\3\0\0\0me\0\0"), chunk(b"data", PCM)
    ),
    "audacity: 32-bit float, fact and PEAK": wav(
        chunk(b"fmt ", fmt(3, bits=32)),
        chunk(b"fact", struct.pack("<I", len(SOUND))),
        chunk(b"PEAK", bytes(16)),
        chunk(b"data", (SOUND / 32768).astype("<f4").tobytes()),
    ),
    "64-bit float": wav(
        chunk(b"fmt ", fmt(3, bits=64)), chunk(b"data", (SOUND / 32768).astype("<f8").tobytes())
    ),
    "ffmpeg to a pipe: sizes of 4 GiB": wav(
        chunk(b"fmt ", fmt()),
        chunk(b"LIST", b"INFOISFT\x0e\0\0\0Lavf59.27.100\0"),
        chunk(b"data", PCM, ALL_ONES),
        size=ALL_ONES,
    ),
    "sox, espeak to a pipe: sizes of 2 GiB": wav(
        chunk(b"fmt ", fmt()), chunk(b"data", PCM, 0x7FFFF000), size=0x7FFFF024
    ),
    "gstreamer, killed: sizes of zero": wav(chunk(b"fmt ", fmt()), chunk(b"data", PCM, 0), size=0),
    "a chunk without its pad byte": wav(
        chunk(b"fmt ", fmt()), chunk(b"LIST", b"INFO+", pad=b""), chunk(b"data", PCM)
    ),
    "a chunk with a pad byte that is not zero": wav(
        chunk(b"fmt ", fmt()), chunk(b"LIST", b"INFO+", pad=b"L"), chunk(b"data", PCM)
    ),
    "broadcast wave: bext before fmt": wav(
        chunk(b"bext", bytes(603)), chunk(b"fmt ", fmt()), chunk(b"data", PCM)
    ),
    "tags after the audio": wav(
        chunk(b"fmt ", fmt()), chunk(b"data", PCM), chunk(b"id3 ", b"ID3" + bytes(100))
    ),
    "extensible, 24 bits in 4 bytes": wav(
        chunk(b"fmt ", extensible(1, 32, 4, valid=24)),
        chunk(b"data", (SOUND.astype("<i4") << 16).tobytes()),
    ),
    "extensible, 24 bits": wav(chunk(b"fmt ", extensible(1, 24, 3)), chunk(b"data", s24(SOUND))),
    "extensible, float": wav(
        chunk(b"fmt ", extensible(3, 32, 4)),
        chunk(b"data", (SOUND / 32768).astype("<f4").tobytes()),
    ),
    "stereo": wav(
        chunk(b"fmt ", fmt(channels=2)), chunk(b"data", np.repeat(SOUND, 2).astype("<i2").tobytes())
    ),
    "RF64, as of a file beyond 4 GiB": wav(
        chunk(b"ds64", struct.pack("<QQQI", 0, len(PCM), len(SOUND), 0)),
        chunk(b"fmt ", fmt()),
        chunk(b"data", PCM, ALL_ONES) + chunk(b"LIST", b"INFO"),
        name=b"RF64",
        size=ALL_ONES,
    ),
    "asterisk: G.711 mu-law": wav(
        chunk(b"fmt ", fmt(7, bits=8) + b"\0\0"), chunk(b"data", audioop.lin2ulaw(PCM, 2))
    ),
    "G.711 A-law": wav(
        chunk(b"fmt ", fmt(6, bits=8) + b"\0\0"), chunk(b"data", audioop.lin2alaw(PCM, 2))
    ),
}
"""By who writes them, or what is odd about them."""
OTHERS = [
    *(("WAV", each) for each in ("PCM_U8", "IMA_ADPCM", "MS_ADPCM", "GSM610")),
    *(("FLAC", each) for each in ("PCM_16", "PCM_24")),
    *(("OGG", each) for each in ("VORBIS", "OPUS")),
    *(("AIFF", each) for each in ("PCM_16", "PCM_24", "FLOAT", "ULAW")),
    *(("AU", each) for each in ("PCM_16", "ULAW")),
    *(("CAF", "PCM_16"), ("MP3", "MPEG_LAYER_III"), ("W64", "PCM_16"), ("RF64", "PCM_16")),
]
"""Written by libsndfile, which is not ours."""


def check(path: Path, *, lossy: bool = False, rate: int = RATE) -> None:
    samples, read_rate = read_wav(path)
    assert read_rate == rate
    if rate != RATE:
        return
    if not lossy:
        assert len(samples) == len(SOUND)
        assert np.abs(samples - SOUND.astype(int)).max() <= 1
        return
    both = np.fft.rfft(samples[: len(SOUND)], len(SOUND)), np.fft.rfft(SOUND)
    alike = np.abs(np.vdot(*both)) / np.linalg.norm(both[0]) / np.linalg.norm(both[1])
    assert alike > 0.95 or abs(len(samples) - len(SOUND)) < 0.1 * RATE
    assert np.abs(samples).max() == pytest.approx(10000, rel=0.15)


@pytest.mark.parametrize("name", HAND_MADE)
def test_a_wav_file_with_a_header_of_any_program(tmp_path: Path, name: str) -> None:
    (path := tmp_path / "a.wav").write_bytes(HAND_MADE[name])
    if "G.711" not in name:
        check(path)
    else:
        samples, rate = read_wav(path)
        assert (rate, len(samples)) == (RATE, len(SOUND))
        assert np.abs(samples - SOUND.astype(int)).max() < 400


@pytest.mark.parametrize(("kind", "subtype"), OTHERS, ids=lambda each: each)
def test_a_file_of_another_kind(tmp_path: Path, kind: str, subtype: str) -> None:
    soundfile = pytest.importorskip("soundfile")
    rate = 48000 if subtype == "OPUS" else 8000 if subtype == "GSM610" else RATE
    path = tmp_path / f"a.{kind.lower()}"
    channels = 1 if subtype == "GSM610" else 2
    samples = np.repeat(SOUND[:, None] / 32768, channels, axis=1)
    soundfile.write(path, samples, rate, subtype, format=kind)
    exact = subtype in ("PCM_16", "PCM_24", "FLOAT")
    check(path, lossy=not exact, rate=rate)


def test_g711_is_decoded_as_the_standard_says() -> None:
    codes = bytes(range(256))
    for encoding, decode in ((MULAW, audioop.ulaw2lin), (ALAW, audioop.alaw2lin)):
        expected = np.frombuffer(decode(codes, 2), np.int16)
        assert encoding.decode(codes).tolist() == expected.tolist()


def test_what_cannot_be_read_is_told_in_a_line_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    cases = {
        "a b.mp3": (b"ID3\4" + bytes(99), "MP3 needs a library", "[files]'"),
        "no-tag.mp3": (b"\xff\xfb\x90\x64" + bytes(99), "MP3 needs a library", "[files]"),
        "adpcm.wav": (
            wav(chunk(b"fmt ", fmt(0x11, bits=4, block=256)), chunk(b"data", PCM)),
            "WAV with codec 0x0011, 4 bits a sample needs a library",
            "[files]",
        ),
        "a.m4a": (b"\0\0\0\x20ftypM4A " + bytes(99), "an MP4 file (M4A, AAC), which", "-i"),
        "a.aac": (b"\xff\xf1\x50\x80" + bytes(99), "an AAC file, which is not supported", "ffmpeg"),
        "a.webm": (b"\x1aE\xdf\xa3" + bytes(99), "a Matroska file", "ffmpeg"),
        "notes.txt": (b"hello", "notes.txt: not a sound file", "--input-format"),
        "empty.wav": (b"", "the file is empty", ""),
        "none.wav": (wav(chunk(b"fmt ", fmt()), chunk(b"data", b"")), "contains no audio", ""),
        "list.wav": (
            wav(chunk(b"fmt ", fmt()), chunk(b"data", b""), chunk(b"LIST", b"INFO")),
            "contains no audio",
            "",
        ),
        "huge.wav": (wav(chunk(b"LIST", b"", 2**30)), "a chunk of 1073741824 bytes", "ffmpeg"),
        "cut.wav": (wav(chunk(b"LIST", b"INFO", 400)), "it ends within its chunk 'LIST'", ""),
        "no-fmt.wav": (wav(chunk(b"data", PCM)), "does not say how its audio is encoded", ""),
    }
    for name, (content, problem, hint) in cases.items():
        (path := tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            read_wav(path)
        assert problem in str(caught.value)
        assert str(path) in str(caught.value)
        assert hint in caught.value.hint
        assert "\n" not in str(caught.value) + caught.value.hint


def test_a_file_with_a_header_is_not_read_as_bare_samples(tmp_path: Path) -> None:
    for name, head in (("WAV", b"RIFF\x24\0\0\0WAVEfmt "), ("FLAC", b"fLaC" + bytes(20))):
        path = tmp_path / name
        path.write_bytes(head + bytes(100))
        with pytest.raises(ConfigError, match=f"a {name} file says itself"):
            Sound(path, Raw("s16le", 8000))


@pytest.mark.parametrize("raw", [Raw("s16", 8000), Raw("s16le", 8000, 0), Raw("s16le", 0)])
def test_a_format_that_cannot_be_is_named_at_once(tmp_path: Path, raw: Raw) -> None:
    (path := tmp_path / "a").write_bytes(PCM)
    with pytest.raises(ConfigError, match=r"no such encoding|not an audio rate"):
        WavMicrophone(path, raw=raw)
    with pytest.raises(ConfigError, match="no such encoding: 'flac'"):
        WavSpeaker(path, encoding="flac")


def test_a_broken_file_of_another_kind(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    (path := tmp_path / "a.flac").write_bytes(b"fLaC" + bytes(200))
    with pytest.raises(ConfigError, match=r"a\.flac: cannot be read as FLAC: "):
        read_wav(path)


def test_a_file_that_is_cut_off_is_read_and_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soundfile = pytest.importorskip("soundfile")
    whole = wav(chunk(b"fmt ", fmt()), chunk(b"data", PCM))
    (path := tmp_path / "a.wav").write_bytes(whole[: -len(PCM) // 4 * 2])
    sound = Sound(path)
    for _ in range(2):
        playlist = Playlist([sound], RATE)
        assert len(playlist.take(RATE)) == len(SOUND) // 2
    told = f"{path} is cut off: the last 0.3 s that its header states are missing"
    assert [each.getMessage() for each in caplog.records] == [told]
    caplog.clear()
    soundfile.write(path := tmp_path / "a.flac", np.tile(SOUND, 9), RATE)
    path.write_bytes(path.read_bytes()[:-20000])
    playlist = Playlist([Sound(path)], 2 * RATE)
    count = 0
    while not playlist.is_over:
        count += len(playlist.take(999))
    assert count > 2 * len(SOUND), "what is there is heard"
    assert "a.flac is cut off: the last " in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.ogg", {}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
        ("a.aiff", {}),
        ("a.mp3", {}),
    ],
)
def test_a_compressed_file_that_is_cut_off_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, how: dict[str, str]
) -> None:
    soundfile = pytest.importorskip("soundfile")
    noise = np.random.default_rng(1).normal(0, 3000, 240_000).astype(np.int16)
    soundfile.write(path := tmp_path / name, noise, 24_000, **how)
    whole, _ = read_wav(path)
    assert not caplog.records
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    sound = Sound(path)
    for _ in range(2):
        count, playlist = 0, Playlist([sound], sound.rate)
        while not playlist.is_over:
            count += len(playlist.take(4800))
        assert len(whole) // 3 < count < len(whole) * 3 // 4, "what is there is heard"
    assert [str(path) in each.getMessage() for each in caplog.records] == [True]
    assert " is cut off: " in caplog.text


@given(
    counts=st.lists(st.integers(1, 5000), min_size=1, max_size=20),
    rate=st.sampled_from([8000, RATE, 48000]),
    data=st.integers(0, 3000),
)
def test_blocks_of_any_length_make_the_same_sound(counts: list[int], rate: int, data: int) -> None:
    class Reader:
        rate, missing, at = RATE, 0.0, 0

        def read(self, count: int) -> np.ndarray[Any, Any]:
            begin, self.at = self.at, min(self.at + min(count, 777), data)
            return SOUND[begin : self.at]

        def close(self) -> None:
            pass

    whole = FileBlocks(Reader(), rate).take(10**6)
    blocks = FileBlocks(Reader(), rate)
    parts = []
    for count in counts * 3000:
        part = blocks.take(count)
        parts.append(part)
        if len(part) < count:
            break
        assert len(part) == count
    assert blocks.is_over
    assert np.allclose(np.concatenate(parts), whole, atol=2)  # soxr dithers
    assert abs(len(whole) - data * rate / RATE) <= 1


def played(playlist: Playlist, count: int) -> list[int]:
    """Take as a microphone does: silence where nothing is played."""
    heard: list[int] = []
    for _ in range(count):
        taken = playlist.take(10).tolist()
        heard += taken + [0] * (10 - len(taken))
    return heard


def files(folder: Path, *values: int) -> list[Sound]:
    for each in values:
        data = np.full(15, each, "<i2").tobytes()
        (folder / f"{each}.wav").write_bytes(wav(chunk(b"fmt ", fmt()), chunk(b"data", data)))
    return [Sound(folder / f"{each}.wav") for each in values]


def test_files_follow_each_other_wait_and_come_again(tmp_path: Path) -> None:
    sounds = files(tmp_path, 1, 2)
    playlist = Playlist(sounds, RATE)
    assert played(playlist, 5) == [1] * 15 + [2] * 15 + [0] * 20
    assert playlist.is_over
    looping = Playlist(sounds, RATE, loops=True)
    assert played(looping, 6) == ([1] * 15 + [2] * 15) * 2
    looping.close()

    waiting = Playlist(sounds, RATE, waits=True)
    assert not any(played(waiting, 3))
    for value, is_last in ((1, False), (2, True)):
        assert waiting.is_waiting
        waiting.go_on()
        assert played(waiting, 3) == [value] * 15 + [0] * 15
        assert waiting.is_waiting is not is_last
    assert waiting.is_over


def test_a_file_that_goes_away_ends_the_call_that_needs_it(tmp_path: Path) -> None:
    microphone = WavMicrophone([each.path for each in files(tmp_path, 1, 2)], speed=50)
    (tmp_path / "2.wav").unlink()
    lost = threading.Event()

    class Sink:
        def write_rt(self, *_: object, **__: object) -> None: ...
        def finished(self) -> None: ...
        def lost(self, why: str, final: bool = False) -> None:
            assert final
            assert why.endswith("2.wav: No such file or directory")
            lost.set()

    microphone.start(Sink())
    assert lost.wait(5)
    microphone.stop()


PIPES: dict[str, tuple[bytes, Raw | None]] = {
    "wav": (HAND_MADE["ffmpeg to a pipe: sizes of 4 GiB"], None),
    "raw": (PCM, Raw("s16le", RATE)),
}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs")
@pytest.mark.parametrize("kind", PIPES)
def test_a_pipe_is_heard_as_it_comes(tmp_path: Path, kind: str) -> None:
    content, raw = PIPES[kind]
    os.mkfifo(path := tmp_path / "fifo")
    half = threading.Event()

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            file.write(content[:8000])
            half.wait(5)
            file.write(content[8000:])

    writer = threading.Thread(target=write)
    writer.start()
    playlist = Playlist([Sound(path, raw)], RATE)
    heard: list[int] = []
    while not playlist.is_over:
        heard += playlist.take(441).tolist()
        if len(heard) > 2000:
            half.set()
    writer.join(5)
    assert heard == SOUND.tolist()
    assert is_pipe(path)
    assert not is_pipe(tmp_path), "a folder is refused at once"
    with pytest.raises(ConfigError, match="only once"):
        WavMicrophone(path, raw=raw, loops=True)


def test_what_came_before_a_pipe_broke_is_heard_before_that_is_told() -> None:
    class Breaking:
        rate, missing = RATE, 0.0
        left = 5

        def read(self, count: int) -> Samples:
            if not self.left:
                raise OSError(5, "Input/output error")
            self.left -= 1
            return np.ones(count, np.int16)

        def close(self) -> None:
            closed.set()

    closed = threading.Event()
    blocks = PipeBlocks(Breaking(), RATE)
    assert closed.wait(5)
    assert len(blocks.take(RATE)) == 5 * (RATE // 50)
    assert not blocks.is_over
    with pytest.raises(OSError, match="Input/output"):
        blocks.take(RATE)


def test_a_long_pipe_is_read_a_piece_at_a_time() -> None:
    comes = iter([bytes(2**16)] * 100)

    class Pipe(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert size <= 2**20, "room would be made for all of that"
            return next(comes, b"")

    assert len(Rereadable(Pipe()).read(2**30)) == 100 * 2**16


def test_no_reader_of_a_pipe_keeps_a_call_waiting(caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = os.pipe()
    stream = StreamWriter(os.fdopen(writer, "wb"), RATE, "wav", "the pipe")
    second = np.ones(RATE, np.int16)
    for _ in range(20):
        stream.write(second)
    os.close(reader)
    stream.close()
    stream.close()
    (told,) = (each.getMessage() for each in caplog.records)
    assert told.startswith("the pipe: its reader is too slow: ")
    assert 8 <= float(told.split()[-4]) <= 11
    with pytest.raises(BrokenPipeError):
        stream.write(second)


@pytest.mark.parametrize("encoding", ["wav", "s16le", "f32le", "mulaw"])
def test_what_is_written_to_a_pipe_is_read_again(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a"
    writer = StreamWriter(path.open("wb"), RATE, encoding, "a")
    writer.write(SOUND)
    writer.close()
    reader = Sound(path, None if encoding == "wav" else Raw(encoding, RATE)).open()
    read = reader.read(10**6)
    reader.close()
    expected = SOUND
    if encoding == "mulaw":
        mulaw = AudioFormat("mulaw", 8000)  # type: ignore[arg-type]
        expected = mulaw.decode(mulaw.encode(SOUND))
    assert read.tolist() == expected.tolist()


@given(content=st.binary(max_size=200), cut=st.integers(0, 200), size=st.integers(0, ALL_ONES))
def test_no_wav_file_is_too_odd(content: bytes, cut: int, size: int) -> None:
    whole = wav(
        chunk(b"fmt ", fmt()), chunk(b"LIST", content, size % 300), chunk(b"data", PCM[:80], size)
    )
    for data in (whole[:cut], whole, whole[:20] + content):
        if data[:4] == b"RIFF" and len(data) >= 12:
            stream = Rereadable(io.BytesIO(data))  # type: ignore[arg-type]
            with suppress(NoWav, OtherCodec):
                reader = open_wav(stream, len(data), lambda: None)
                while len(reader.read(100)):
                    pass
                assert reader.missing >= 0
