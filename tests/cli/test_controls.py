"""What keys do, as a fold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retell_voice.cli.controls import (
    FIRST_HOLD,
    LOUDEST,
    NEXT_HOLD,
    Choice,
    Command,
    Controls,
    HangUp,
    ListDevices,
    Press,
    Repaint,
    Use,
    press,
)
from retell_voice.cli.keys import Key

DEVICES = (
    Choice("near_end", "Headset", "ALSA", in_use=True),
    Choice("near_end", "Webcam", "ALSA"),
    Choice("far_end", "Speakers", "ALSA"),
)


def after(controls: Controls, *keys: str, now: float = 10.0, said: int = 0) -> Controls:
    for key in keys:
        controls, _ = press(controls, Key(key), now, said)
    return controls


def wanted(controls: Controls, key: str) -> Command | None:
    return press(controls, Key(key), 10.0, 0)[1]


def test_mute_and_back() -> None:
    controls = after(Controls(), "m")
    assert controls.silent(10.0)
    assert controls.notice == "muted"
    assert not after(controls, "m").silent(10.0)


def test_held_space_is_heard_for_as_long_as_it_repeats() -> None:
    controls = after(Controls(muted=True), " ", now=10.0)
    assert not controls.silent(10.0 + FIRST_HOLD - 0.01)
    assert controls.silent(10.0 + FIRST_HOLD), "a tap is over soon"
    times = [10.66 + 0.03 * index for index in range(100)]
    for now in times:
        assert not controls.silent(now)
        controls = after(controls, " ", now=now)
    assert not controls.silent(times[-1] + NEXT_HOLD - 0.01)
    assert controls.silent(times[-1] + NEXT_HOLD)


def test_a_repeat_never_shortens_the_first_hold() -> None:
    controls = after(after(Controls(muted=True), " ", now=10.0), " ", now=10.1)
    assert not controls.silent(10.7)


def test_a_terminal_that_tells_when_a_key_comes_up() -> None:
    controls = after(Controls(muted=True), " ", now=10.0)
    controls, _ = press(controls, Key(" ", "release"), 10.2, 0)
    assert controls.silent(10.2)
    assert press(Controls(), Key("q", "release"), 1.0, 0) == (Controls(), None)


def test_a_key_whose_release_will_be_told_is_held_until_then() -> None:
    down, up = (Key(" ", action, is_tracked=True) for action in ("press", "release"))
    controls, _ = press(Controls(muted=True), down, 10.0, 0)
    assert controls.tells_releases
    assert not controls.silent(10.0 + 3600), "though nothing repeats"
    assert press(controls, up, 12.0, 0)[0].silent(12.0)
    assert press(controls, Key("unfocus"), 12.0, 0)[0].silent(12.0)
    again, _ = press(controls, Key(" ", "repeat", is_tracked=True), 11.0, 0)
    assert again.held_until == controls.held_until


def test_a_key_that_switches_does_so_once_while_it_is_held() -> None:
    held = Key("m", "repeat", is_tracked=True)
    controls = after(Controls(), "m")
    assert press(controls, held, 10.0, 0)[0].muted
    assert press(Controls(), Key("q", "repeat"), 10.0, 0)[1] is None
    assert press(controls, Key("+", "repeat"), 10.0, 0)[0].volume == 110


def test_muting_while_held_is_at_once() -> None:
    controls = after(Controls(muted=True), " ", now=10.0)
    assert not after(controls, "m", now=10.1).silent(10.1)
    assert after(controls, "m", "m", now=10.1).silent(10.1)


def test_space_when_heard_anyway_explains_itself() -> None:
    controls = after(Controls(), " ")
    assert not controls.silent(10.0)
    assert "(m)" in controls.notice


def test_volume() -> None:
    assert after(Controls(), "+").volume == 110
    assert after(Controls(), "=", "-", "_").volume == 90
    assert after(Controls(), *"+" * 50).volume == LOUDEST
    controls = after(Controls(), *"-" * 50)
    assert controls.volume == 0
    assert controls.notice == "the agent's volume: 0 %"


@pytest.mark.parametrize(("key", "name"), [("?", "help"), ("s", "statistics"), ("d", "devices")])
def test_panels_open_and_close(key: str, name: str) -> None:
    controls = after(Controls(), key)
    assert controls.panel == name
    assert after(controls, key).panel == ""
    assert after(controls, "esc").panel == ""
    assert after(controls, "?" if key != "?" else "s").panel in ("help", "statistics")


def test_hanging_up_and_painting() -> None:
    assert wanted(Controls(), "q") == HangUp()
    assert wanted(Controls(panel="devices"), "q") == HangUp()
    assert wanted(Controls(), "ctrl-l") == Repaint()
    assert wanted(Controls(), "x") is None


def test_what_is_pasted_does_nothing_but_says_so() -> None:
    assert "pasted" in after(Controls(), "paste").notice


def test_choosing_a_device() -> None:
    controls, command = press(Controls(), Key("d"), 10.0, 0)
    assert command == ListDevices()
    assert controls.choices is None
    assert "no device number" in after(controls, "1").notice, "they are not known yet"
    controls = replace(controls, choices=DEVICES)
    assert wanted(controls, "2") == Use(DEVICES[1])
    assert after(controls, "2").panel == ""
    assert wanted(controls, "1") is None
    assert after(controls, "1").notice == "Headset is in use"
    assert after(controls, "7").notice == "no device number 7"
    assert after(controls, "0").notice == "no device number 0"
    assert after(controls, "enter") == controls


def test_numbers_of_two_digits() -> None:
    many = tuple(Choice("far_end", f"Speaker {index}") for index in range(1, 13))
    controls = Controls(panel="devices", choices=many)
    assert after(controls, "1").typed == "1", "10, 11 or 12 may follow"
    assert wanted(after(controls, "1"), "2") == Use(many[11])
    assert wanted(after(controls, "1"), "enter") == Use(many[0])
    assert wanted(controls, "2") == Use(many[1])
    assert after(controls, "1", "backspace").typed == ""
    assert after(controls, "1", "esc").typed == ""


def test_a_long_list_scrolls() -> None:
    many = tuple(Choice("far_end", f"Speaker {index}") for index in range(1, 13))
    controls = Controls(panel="devices", choices=many)
    assert after(controls, "down", "down", "up", said=9).above == 1
    assert after(controls, "pagedown", said=9).above == 5
    assert after(controls, "end", "down", said=9).above == 11
    assert after(controls, "end", "home", "up", said=9) == controls
    assert after(controls, "x") == controls
    assert after(controls, "end", "d", "d").above == 0
    assert after(replace(controls, choices=None), "end") == replace(controls, choices=None)


def test_digits_mean_nothing_elsewhere() -> None:
    assert press(Controls(choices=DEVICES), Key("2"), 1.0, 0) == (Controls(choices=DEVICES), None)


def test_looking_back() -> None:
    assert after(Controls(), "up", said=0).upto is None
    controls = after(Controls(), "up", said=20)
    assert controls.upto == 19
    assert after(controls, "pageup", said=20).upto == 14
    assert after(controls, "home", said=20).upto == 1
    assert after(controls, "up", "down", "down", said=20).upto is None
    assert after(controls, "end", said=20).upto is None
    assert after(controls, "esc", said=20).upto is None
    assert after(controls, said=30).upto == 19, "it stays where it is while more is said"


def test_the_keys_of_a_telephone_are_sent_while_its_keypad_is_open() -> None:
    controls = Controls(has_keypad=True)
    controls, command = press(controls, Key("5"), 0.0, 0)
    assert command is None, "the keypad is not open"
    controls, _ = press(controls, Key("t"), 0.0, 0)
    assert controls.panel == "keypad"
    for digit in "0123456789*#":
        controls, command = press(controls, Key(digit), 0.0, 0)
        assert command == Press(digit)
        assert press(controls, Key(digit, "repeat"), 0.0, 0)[1] is None
    assert controls.pressed == "0123456789*#"
    muted, command = press(controls, Key("m"), 0.0, 0)
    assert (muted.muted, command) == (True, None)
    closed, _ = press(controls, Key("esc"), 0.0, 0)
    assert closed.panel == ""


def test_a_call_without_a_telephone_has_no_keypad() -> None:
    controls, command = press(Controls(), Key("t"), 1.0, 0)
    assert (controls.panel, command) == ("", None)
    assert "no telephone keys" in controls.notice
