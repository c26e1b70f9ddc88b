"""``kiosk doctor``: what it makes of what it finds, on machines of files and scripts."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

if sys.platform != "linux":
    pytest.skip("a kiosk runs on Linux", allow_module_level=True)

from retell_voice.cli.app import program
from retell_voice.doctor.findings import Finding, Verdict
from retell_voice.kiosk.examining import board, parts, service
from retell_voice.kiosk.examining.host import Host
from retell_voice.kiosk.service.unit import UNIT, Service, system_unit
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.settings.tables.kiosk_parts import Lamp, Line

PASS, WARN, FAIL = Verdict.PASS, Verdict.WARN, Verdict.FAIL


class Machine:
    """Makes a machine's files and commands."""

    def __init__(self, root: Path) -> None:
        self.root = root / "root"
        self.bin = root / "bin"
        self.root.mkdir()
        self.bin.mkdir()
        self.host = Host(self.root, str(self.bin))

    def file(self, name: str, text: str = "", mode: int = 0o644) -> Path:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def command(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def found(findings: Any) -> dict[str, list[Finding]]:
    by_check: dict[str, list[Finding]] = {}
    for each in findings:
        by_check.setdefault(each.check, []).append(each)
    return by_check


# The board


@pytest.mark.parametrize(
    ("said", "verdict", "says"),
    [
        ("throttled=0x0", PASS, "never"),
        ("throttled=0x50005", FAIL, "voltage is too low and it is throttled"),
        ("throttled=0x50000", WARN, "at some time since boot: its voltage is too low"),
        ("throttled=0x80008", FAIL, "too hot"),
        ("throttled=0x20000", WARN, "slower"),
        ("nonsense", PASS, "nothing here measures"),
        (None, PASS, "nothing here measures"),
    ],
)
def test_power(said: str | None, verdict: Verdict, says: str) -> None:
    finding = board.judge_power(said, None)
    assert finding.verdict is verdict
    assert says in finding.says
    if said in ("throttled=0x50005", "throttled=0x50000"):
        assert "power supply" in finding.hint


def test_power_by_the_kernels_sensor(machine: Machine) -> None:
    machine.file("/sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    machine.file("/sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    alarm = machine.file("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
    assert found(board.examine(machine.host))["power"][0].says == "its voltage has not been too low"
    alarm.write_text("1\n")
    assert found(board.examine(machine.host))["power"][0].verdict is FAIL


def test_a_board_by_its_files_and_commands(machine: Machine) -> None:
    machine.command("vcgencmd", '[ "$1" = get_throttled ] && echo throttled=0x0')
    machine.command("iw", '[ "$*" = "dev wlan0 get power_save" ] && echo "Power save: on"')
    machine.command("timedatectl", "echo no")
    machine.file("/sys/class/net/wlan0/wireless/x")
    machine.file("/sys/class/net/wlan0/operstate", "up\n")
    machine.file("/sys/class/net/eth0/operstate", "up\n")
    machine.file("/proc/mounts", "/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n")
    by_check = found(board.examine(machine.host))
    assert {name: [each.verdict for each in all_] for name, all_ in by_check.items()} == {
        "power": [PASS],
        "Wi-Fi": [WARN],
        "time": [WARN],
        "disk": [by_check["disk"][0].verdict],
        "root": [PASS],
    }
    assert "powersave 2" in by_check["Wi-Fi"][0].hint
    assert "power cut" in by_check["root"][0].hint


def test_wifi() -> None:
    assert board.judge_power_save("wlan0", "Power save: off").verdict is PASS
    assert board.judge_power_save("wlan0", "Power save: on").verdict is WARN
    assert "apt install iw" in board.judge_power_save("wlan0", None).hint


def test_wifi_that_is_not_used_may_save_what_it_likes(machine: Machine) -> None:
    machine.file("/sys/class/net/wlan0/wireless/x")
    machine.file("/sys/class/net/wlan0/operstate", "down\n")
    assert found(board.examine(machine.host))["Wi-Fi"][0].verdict is PASS


def test_time(machine: Machine) -> None:
    assert [board.judge_time(each).verdict for each in ("yes", "no", None)] == [PASS, WARN, WARN]
    machine.file("/run/systemd/timesync/synchronized")
    assert found(board.examine(machine.host))["time"][0].verdict is PASS
    machine.command("timedatectl", "echo no")
    assert found(board.examine(machine.host))["time"][0].verdict is WARN


@pytest.mark.parametrize(
    ("free", "files", "verdict"),
    [
        (10**10, 10**6, PASS),
        (10**10, None, PASS),
        (4 * 10**8, 10**6, WARN),
        (10**7, 10**6, FAIL),
        (10**10, 50, FAIL),
        (10**10, 5000, WARN),
    ],
)
def test_disk(free: int, files: int | None, verdict: Verdict) -> None:
    assert board.judge_disk("/", free, files).verdict is verdict


@pytest.mark.parametrize(
    ("mounts", "says"),
    [
        ("/dev/root / ext4 rw 0 0", "is writable"),
        ("/dev/root / ext4 rw 0 0\noverlay / overlay rw,lowerdir=/l 0 0", "read-only"),
        ("/dev/root / ext4 ro,noatime 0 0", "read-only"),
        ("", "is writable"),
        ("garbage\n/", "is writable"),
    ],
)
def test_root(mounts: str, says: str) -> None:
    assert board.judge_root(mounts).says.startswith(says)


# The service


def said(state: str, enabled: str, restarts: int) -> str:
    return f"NRestarts={restarts}\nActiveState={state}\nUnitFileState={enabled}"


@pytest.mark.parametrize(
    ("told", "verdict", "says"),
    [
        (said("active", "enabled", 0), PASS, "runs"),
        (said("active", "enabled", 60), WARN, "60 times"),
        (said("failed", "enabled", 0), FAIL, "is failed"),
        (said("active", "disabled", 0), FAIL, "is disabled"),
        ("", FAIL, "not known"),
        (None, WARN, "does not answer"),
    ],
)
def test_how_the_service_is(told: str | None, verdict: Verdict, says: str) -> None:
    finding = service.judge_service(told)
    assert finding.verdict is verdict
    assert says in finding.says


def test_a_systems_service(machine: Machine) -> None:
    unit = system_unit(Service(("/bin/true",), ("audio", "gpio")))
    machine.file(f"/etc/systemd/system/{UNIT}", unit)
    machine.command("systemctl", f'echo "{said("active", "enabled", 1)}"')
    settings = KioskSettings(
        button=Sourced(Line(17)), input_device=Sourced("/dev/input/by-id/x-event-kbd")
    )
    by_check = found(service.examine(machine.host, settings))
    assert by_check["service"][0].verdict is PASS
    assert by_check["groups"][0].says == "retell-voice: not in input (for the input device)"
    (missing,) = by_check["credentials"]
    assert missing.verdict is FAIL
    assert "retell-api-key" in missing.says
    key = machine.file("/etc/credstore/retell-api-key", "key", 0o644)
    assert "others" in found(service.examine(machine.host, settings))["credentials"][0].says
    key.chmod(0o600)
    (fine,) = found(service.examine(machine.host, settings))["credentials"]
    assert fine.verdict is PASS


def test_a_store_of_roots_is_no_missing_key(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.file(f"/etc/systemd/system/{UNIT}", system_unit(Service(("/bin/true",))))
    machine.file("/etc/credstore/retell-api-key", "key", 0o600)
    monkeypatch.setattr("os.access", lambda *_: False)
    (finding,) = found(service.examine(machine.host, KioskSettings()))["credentials"]
    assert (finding.verdict, finding.hint) == (WARN, "run it with sudo")


def test_a_users_service_needs_its_user_to_linger(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/pi")
    machine.file(f"/home/pi/.config/systemd/user/{UNIT}")
    machine.command("systemctl", f'[ "$1" = --user ] && echo "{said("active", "enabled", 0)}"')
    settings = KioskSettings(call_command=Sourced("come"))
    by_check = found(service.examine(machine.host, settings))
    assert by_check["linger"][0].verdict is FAIL
    assert "enable-linger" in by_check["linger"][0].hint
    assert "credentials" not in by_check
    for name in ("root", by_check["linger"][0].hint.split()[-1]):
        machine.file(f"/var/lib/systemd/linger/{name}")
    assert found(service.examine(machine.host, settings))["linger"][0].verdict is PASS


def test_what_is_not_installed_is_told(machine: Machine) -> None:
    by_check = found(service.examine(machine.host, KioskSettings()))
    assert by_check["service"][0].verdict is WARN
    assert "kiosk install" in by_check["service"][0].hint


def test_groups_are_those_that_the_settings_take() -> None:
    plain = KioskSettings()
    assert service.wanted_groups(plain, alsa=False) == {}
    assert list(service.wanted_groups(plain, alsa=True)) == ["audio"]
    lit = KioskSettings(led_error=Sourced(Lamp.read("GPIO27")))
    assert list(service.wanted_groups(lit, alsa=False)) == ["gpio"]
    assert service.wanted_groups(KioskSettings(led=Sourced(Lamp.read("ACT"))), alsa=False) == {}
    missing = service.judge_groups("pi", frozenset({"pi"}), {"gpio": "lamps"})
    assert missing.verdict is FAIL
    assert "usermod -aG gpio" in missing.hint


# The parts


@pytest.mark.parametrize(
    ("used", "consumer", "verdict"),
    [(False, "", PASS), (True, "retell-voice", PASS), (True, "spi0 CS0", FAIL), (True, "", FAIL)],
)
def test_a_line_must_be_free_or_ours(used: bool, consumer: str, verdict: Verdict) -> None:
    info = SimpleNamespace(used=used, consumer=consumer)
    assert parts.judge_line(Line(7), info, "pinctrl-rp1").verdict is verdict


def test_lines_without_a_chip_are_told(machine: Machine) -> None:
    settings = KioskSettings(button=Sourced(Line(17)), gpio_chip=Sourced("/dev/gpiochip99"))
    by_check = found(parts.examine(machine.host, settings))
    assert by_check["parts"][0].says == "button GPIO17"
    assert by_check["GPIO"][0].verdict is FAIL
    assert "/dev/gpiochip99" in by_check["GPIO"][0].says


def test_devices_and_lamps(machine: Machine) -> None:
    settings = KioskSettings(
        input_device=Sourced("/dev/input/by-id/x-event-kbd"), led=Sourced(Lamp.read("ACT"))
    )
    by_check = found(parts.examine(machine.host, settings))
    assert by_check["input device"][0].verdict is FAIL
    assert by_check["lamp"][0].verdict is FAIL
    machine.file("/dev/input/by-id/x-event-kbd")
    lamp = machine.file("/sys/class/leds/ACT/brightness")
    by_check = found(parts.examine(machine.host, settings))
    assert by_check["input device"][0].verdict is PASS
    assert by_check["lamp"][0].verdict is WARN
    lamp.chmod(0o664)
    assert found(parts.examine(machine.host, settings))["lamp"][0].verdict is PASS
    machine.file("/dev/input/event3")
    assert parts.judge_input_device(machine.host, Path("/dev/input/event3")).verdict is WARN


def test_a_broker_answers_or_does_not(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        settings = KioskSettings(mqtt_url=Sourced(url))
        assert found(parts.examine(machine.host, settings))["MQTT"][0].verdict is PASS
    (away,) = found(parts.examine(machine.host, settings))["MQTT"]
    assert away.verdict is WARN
    assert "refused" in away.says


def test_a_package_that_is_missing_is_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    settings = KioskSettings(mqtt_url=Sourced("mqtt://127.0.0.1:1"))
    missing, _ = found(parts.examine(machine.host, settings))["parts"]
    assert missing.verdict is FAIL
    assert "kiosk-mqtt" in missing.hint


# The command


def test_commands_that_hang_fail_or_are_not_there_say_nothing(machine: Machine) -> None:
    machine.command("bad", "echo yes; exit 1")
    machine.command("good", 'echo "$LC_ALL"')
    assert machine.host.run("bad") is None
    assert machine.host.run("none") is None
    assert machine.host.run("good") == "C"
    assert machine.host.has("good")
    assert not machine.host.has("none")
    assert machine.host.read("/none") is None


def test_a_command_that_there_is_not_is_named() -> None:
    result = CliRunner().invoke(program(), ["kiosk", "stauts"])
    assert result.exit_code == 2
    assert "No such command 'stauts'" in result.output


def test_it_is_told_in_lines_and_as_json(tmp_path: Path) -> None:
    config = tmp_path / "kiosk.toml"
    config.write_text('[kiosk]\ninput_device = "/dev/input/by-id/none"\n')
    shown = CliRunner().invoke(program(), ["kiosk", "doctor", "--config", str(config)])
    assert shown.exit_code == 2
    assert "fail  input device: /dev/input/by-id/none is not there\n      → ls" in shown.output
    as_json = CliRunner().invoke(program(), ["kiosk", "doctor", "--json", "--config", str(config)])
    assert json.loads(as_json.output)["exit_code"] == 2
