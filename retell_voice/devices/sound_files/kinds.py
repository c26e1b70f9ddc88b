"""What a file is, by its first bytes."""

from __future__ import annotations

HEAD = 20
"""Bytes that tell."""
_DECODED = {
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"FORM": "AIFF",
    b".snd": "AU",
    b"RIFX": "big-endian WAV",
    b"riff": "Wave64",
    b"caff": "CAF",
    b"Creative Voice File": "VOC",
    b"NIST_1A": "NIST",
}
_OTHERS = {
    b"\x1aE\xdf\xa3": "a Matroska file (MKA, WebM)",
    b"0&\xb2u": "a Windows Media file",
    b"#!AMR": "an AMR file",
}


def is_wav(head: bytes) -> bool:
    """Tell whether it begins as a WAV file does."""
    return head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] in (b"WAVE", b"")


def with_header(head: bytes) -> str:
    """Return the kind of a file that cannot be bare samples; empty: it can."""
    return "WAV" if is_wav(head) else _known(head, _DECODED)


def decoded(head: bytes) -> str:
    """Return the kind of a file that libsndfile reads; empty: it does not."""
    if _is_mpeg(head) and head[1] & 0b110:  # 0 is AAC
        return "MP3"
    return _known(head, _DECODED)


def other(head: bytes) -> str:
    """Return what it is, if it is sound that nothing here reads; else empty."""
    if head[4:8] == b"ftyp":
        return "an MP4 file (M4A, AAC)"
    return "an AAC file" if _is_mpeg(head) else _known(head, _OTHERS)


def _is_mpeg(head: bytes) -> bool:
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0


def _known(head: bytes, known: dict[bytes, str]) -> str:
    return next((name for begin, name in known.items() if head.startswith(begin)), "")
