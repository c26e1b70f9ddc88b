from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.protocol.gateway import UnreadableAnswer
from retell_voice.protocol.sdp import (
    ask_for_fec,
    check_answer,
    check_offer,
    leave_open,
    prepare_offer,
    without_mdns,
)

ANSWER = """v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
m=audio 9 UDP/TLS/RTP/SAVPF 96 0
a=mid:0
a=rtpmap:96 opus/48000/2
a=rtpmap:0 PCMU/8000
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
a=mid:1
"""


def test_an_answer_with_opus_will_do() -> None:
    check_answer(ANSWER)
    check_answer(ANSWER.replace("\n", "\r\n"))


@pytest.mark.parametrize(
    ("sdp", "says"),
    [
        ("", "not SDP"),
        ("<html>", "not SDP"),
        ("v=0\ns=-\n", "no audio"),
        (ANSWER.replace("m=audio", "m=video"), "no audio"),
        (ANSWER.replace("m=audio 9", "m=audio 0"), "does not take the audio"),
        (ANSWER.replace("opus/48000/2", "telephone-event/8000"), "no Opus"),
        (ANSWER.replace("SAVPF 96 0", "SAVPF 0"), "no Opus"),
        (ANSWER.replace("m=audio 9 UDP/TLS/RTP/SAVPF 96 0", "m=audio 9"), "no Opus"),
    ],
)
def test_any_other_is_refused_in_words(sdp: str, says: str) -> None:
    with pytest.raises(UnreadableAnswer, match=says):
        check_answer(sdp)


@given(st.text() | st.lists(st.sampled_from(ANSWER.splitlines())).map("\n".join))
def test_any_text_is_an_answer_or_refused(sdp: str) -> None:
    with suppress(UnreadableAnswer):
        check_answer(sdp)
    prepare_offer(sdp)


def test_an_offer_asks_for_error_correction_once() -> None:
    offer = prepare_offer(ANSWER)
    assert offer.count("a=fmtp:96 minptime=10;useinbandfec=1\r\n") == 1
    assert offer.replace("a=fmtp:96 minptime=10;useinbandfec=1\r\n", "") == ANSWER.replace(
        "\n", "\r\n"
    )
    assert prepare_offer(offer) == offer


def test_an_offer_promises_no_levels() -> None:
    level = "a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level\n"
    mid = "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\n"
    offer = prepare_offer(ANSWER.replace("a=mid:0\n", f"a=mid:0\n{mid}{level}"))
    assert "audio-level" not in offer
    assert "sdes:mid" in offer


def test_an_offer_that_is_left_open_says_nothing_of_an_end() -> None:
    offer = ANSWER.replace("a=mid:0", "a=candidate:1 typ host\na=end-of-candidates\na=mid:0")
    assert leave_open(offer).splitlines() == [
        line for line in offer.splitlines() if line != "a=end-of-candidates"
    ]


def test_an_answer_asks_for_error_correction_once() -> None:
    answer = ask_for_fec(ANSWER)
    assert answer.count("a=fmtp:96 minptime=10;useinbandfec=1\r\n") == 1
    assert ask_for_fec(answer) == answer


def test_an_offer_with_opus_will_do() -> None:
    check_offer(ANSWER)
    check_offer(ANSWER.replace("\n", "\r\n"))


@pytest.mark.parametrize(
    ("sdp", "says"),
    [
        ("", "not SDP"),
        ("<html>", "not SDP"),
        ("v=0\ns=-\n", "no audio"),
        (ANSWER.replace("m=audio", "m=video"), "no audio"),
        (ANSWER.replace("opus/48000/2", "telephone-event/8000"), "no Opus"),
    ],
)
def test_any_other_offer_is_refused_in_words(sdp: str, says: str) -> None:
    with pytest.raises(UnreadableAnswer, match=says):
        check_offer(sdp)


@given(st.text() | st.lists(st.sampled_from(ANSWER.splitlines())).map("\n".join))
def test_any_text_is_an_offer_or_refused(sdp: str) -> None:
    with suppress(UnreadableAnswer):
        check_offer(sdp)
    ask_for_fec(sdp)
    without_mdns(sdp)


def test_candidates_that_are_names_of_the_local_network_are_left_out() -> None:
    named = "a=candidate:1 1 udp 2113937151 4b5c-11.local 5000 typ host generation 0\n"
    known = "a=candidate:2 1 udp 2113937151 192.0.2.1 5000 typ host\n"
    assert without_mdns(ANSWER + named + known) == (ANSWER + known).replace("\n", "\r\n")
