from retell_voice.devices.watchdog import DEVICE_TIMEOUT, Watchdog


class Bridge:
    def __init__(self) -> None:
        self.blocks = 0
        self.told: list[str] = []

    def lost(self, why: str) -> None:
        self.told.append(why)


def test_a_device_that_passes_audio_is_alive() -> None:
    bridge = Bridge()
    watchdog = Watchdog(bridge, 0.0)
    for second in range(10):
        bridge.blocks += 1
        watchdog.look(second)
    assert bridge.told == []


def test_a_device_that_stops_is_reported() -> None:
    bridge = Bridge()
    watchdog = Watchdog(bridge, 0.0)
    watchdog.look(DEVICE_TIMEOUT)
    assert bridge.told == []
    watchdog.look(DEVICE_TIMEOUT + 0.1)
    assert bridge.told == ["no audio has passed for 2 s"]


def test_an_event_loop_that_slept_does_not_take_the_device_for_lost() -> None:
    bridge = Bridge()
    watchdog = Watchdog(bridge, 0.0)
    bridge.blocks = 500
    watchdog.look(60.0)
    assert bridge.told == []
