"""What a web call needs of SDP, beyond what the WebRTC library does with it. Pure."""

from __future__ import annotations

import re

from retell_voice.protocol.gateway import UnreadableAnswer

_OPUS = re.compile(r"a=rtpmap:(\d{1,3}) opus/48000(?:/\d)?", re.IGNORECASE)
_LEVELS = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
_MDNS = re.compile(r"a=candidate:(?:\S+ ){4}\S+\.local ", re.IGNORECASE)
FEC = "minptime=10;useinbandfec=1"


def prepare_offer(sdp: str) -> str:
    """Return an offer as it goes to the gateway.

    It asks for forward error correction: without ``useinbandfec`` libwebrtc sends none. It does
    not offer audio levels in RTP headers: we hand over packets already encoded, without levels.
    """
    lines: list[str] = []
    given = {line.split()[0] for line in sdp.splitlines() if line.startswith("a=fmtp:")}
    for line in sdp.splitlines():
        if line.startswith("a=extmap:") and _LEVELS in line:
            continue
        lines.append(line)
        opus = _OPUS.fullmatch(line)
        if opus is not None and f"a=fmtp:{opus[1]}" not in given:
            lines.append(f"a=fmtp:{opus[1]} {FEC}")
    return "".join(f"{line}\r\n" for line in lines)


def ask_for_fec(sdp: str) -> str:
    """Return an answer that asks for forward error correction, see ``prepare_offer``."""
    given = {line.split()[0] for line in sdp.splitlines() if line.startswith("a=fmtp:")}
    lines: list[str] = []
    for line in sdp.splitlines():
        lines.append(line)
        opus = _OPUS.fullmatch(line)
        if opus is not None and f"a=fmtp:{opus[1]}" not in given:
            lines.append(f"a=fmtp:{opus[1]} {FEC}")
    return "".join(f"{line}\r\n" for line in lines)


def without_mdns(sdp: str) -> str:
    """Return a description without candidates whose address is a name of the local network.

    Browsers hide addresses so; only multicast finds them, and a peer learns them without.
    """
    lines = (line for line in sdp.splitlines() if not _MDNS.match(line))
    return "".join(f"{line}\r\n" for line in lines)


def check_offer(sdp: str) -> None:
    """Check that an offer is SDP and offers Opus, before the library sees it.

    Raises:
        UnreadableAnswer: it does not; says why.
    """
    lines = [line.strip() for line in sdp.splitlines()]
    if not lines or lines[0] != "v=0":
        raise UnreadableAnswer("the offer is not SDP")
    sections = "\n".join(lines).split("\nm=")[1:]
    audio = [each for each in sections if each.startswith("audio ")]
    if not audio:
        raise UnreadableAnswer("the offer has no audio")
    if not any(_OPUS.fullmatch(line) for line in audio[0].splitlines()):
        raise UnreadableAnswer("the offer has no Opus")


def leave_open(sdp: str) -> str:
    """Return an offer that does not say it has all candidates: a relay's will be trickled."""
    lines = (line for line in sdp.splitlines() if line != "a=end-of-candidates")
    return "".join(f"{line}\r\n" for line in lines)


def check_answer(sdp: str) -> None:
    """Check that an answer is SDP and accepts Opus, before the library sees it.

    Raises:
        UnreadableAnswer: it does not; says why, in words for people.
    """
    lines = sdp.splitlines()
    if not lines or lines[0].strip() != "v=0":
        raise UnreadableAnswer("its answer is not SDP")
    sections = "\n".join(lines).split("\nm=")[1:]
    audio = next((each for each in sections if each.startswith("audio ")), None)
    if audio is None:
        raise UnreadableAnswer("its answer has no audio")
    head, *attributes = audio.splitlines()
    match head.split():
        case [_, "0", *_]:
            raise UnreadableAnswer("it does not take the audio that was offered")
        case [_, _, _, *offered]:
            types = {opus[1] for line in attributes if (opus := _OPUS.fullmatch(line.strip()))}
            if types & set(offered):
                return
    raise UnreadableAnswer("its answer has no Opus")
