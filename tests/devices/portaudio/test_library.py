"""When PortAudio's list may be made anew, and how it is loaded, used and left."""

import threading

import sounddevice

from retell_voice.devices.portaudio import library
from retell_voice.errors import DeviceError


def test_the_list_is_made_anew_only_when_nobody_uses_it(refreshed):
    library.enter()
    with library.in_use():
        assert not library.refresh()
    assert not library.refresh()
    assert refreshed == []
    library.leave()
    assert library.refresh()
    assert refreshed == ["terminate", "initialize"]


def test_portaudio_that_did_not_start_again_is_started_the_next_time(refreshed, monkeypatch):
    def not_running():
        raise sounddevice.PortAudioError("PortAudio not initialized")

    monkeypatch.setattr(sounddevice, "_terminate", not_running)
    assert library.refresh()
    assert refreshed == ["initialize"]


def test_whoever_comes_during_a_refresh_waits_for_its_end(refreshed, monkeypatch):
    under_way, go_on = threading.Event(), threading.Event()

    def slow():
        under_way.set()
        go_on.wait(5)
        refreshed.append("initialize")

    monkeypatch.setattr(sounddevice, "_initialize", slow)
    refreshing = threading.Thread(target=library.refresh)
    refreshing.start()
    assert under_way.wait(5)
    entered = []

    def enter():
        library.enter()
        entered.append(list(refreshed))

    user = threading.Thread(target=enter)
    user.start()
    user.join(0.05)
    assert entered == []
    go_on.set()
    user.join(5)
    refreshing.join(5)
    assert entered == [["terminate", "initialize"]]
    library.leave()


def test_streams_are_opened_and_closed_one_at_a_time_unless_one_hangs(monkeypatch):
    """PortAudio's list of them has no lock."""
    inside, go_on, second = threading.Event(), threading.Event(), threading.Event()

    def hold():
        with library.in_turn():
            inside.set()
            go_on.wait(10)

    def close():
        with library.in_turn():
            second.set()

    first = threading.Thread(target=hold)
    first.start()
    assert inside.wait(5)
    closing = threading.Thread(target=close)
    closing.start()
    assert not second.wait(0.05)
    go_on.set()
    assert second.wait(5)
    for thread in (first, closing):
        thread.join(5)

    monkeypatch.setattr(library, "_TURN_SECONDS", 0.01)
    inside.clear()
    go_on.clear()
    first = threading.Thread(target=hold)
    first.start()
    assert inside.wait(5)
    with library.in_turn():
        pass
    go_on.set()
    first.join(5)
    with library.in_turn():
        assert library._changing.locked()


def test_portaudio_loads_while_something_else_does(monkeypatch):
    began, go_on = threading.Event(), threading.Event()

    def load():
        began.set()
        go_on.wait(5)
        raise DeviceError("there is none")

    monkeypatch.setattr(library, "_load", load)
    monkeypatch.setattr(library, "_left_open", False)
    with library.loading():
        assert began.wait(5)
        go_on.set()
    assert not library.is_left_open()
    assert not [each for each in threading.enumerate() if each.name == "retell-voice load"]


def test_portaudio_that_hangs_as_it_loads_is_left_to_the_end_of_the_process(monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(library, "_load", lambda: go_on.wait(5))
    monkeypatch.setattr(library, "_CLOSE_SECONDS", 0.01)
    monkeypatch.setattr(library, "_left_open", False)
    with library.loading():
        pass
    assert library.is_left_open()
    go_on.set()


def test_a_thread_that_is_still_in_portaudio_is_left_to_the_end_of_the_process(monkeypatch):
    """Whoever asked for it is no longer there: the program was interrupted."""
    monkeypatch.setattr(library, "_left_open", False)
    entered, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        go_on.wait(20)

    asking = threading.Thread(target=library.within, args=(20.0, hang))
    asking.start()
    assert entered.wait(20)
    assert library.is_left_open()
    go_on.set()
    asking.join()
    assert not library.is_left_open()
