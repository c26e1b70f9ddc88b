"""The units, as systemd itself reads them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.needed import needed

from retell_voice.kiosk.service.unit import (
    CREDENTIALS,
    UNIT,
    Service,
    system_unit,
    user_unit,
)

if sys.platform != "linux":
    pytest.skip("systemd is Linux's", allow_module_level=True)

SERVICE = Service(("/bin/true", "kiosk", "--config", "/etc/retell-voice/config.toml"), ("audio",))


def analyze(*arguments: str, runtime: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [needed("systemd-analyze", "systemd"), "--no-pager", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning", "XDG_RUNTIME_DIR": str(runtime)},
    )


def verified(tmp_path: Path, text: str, *options: str) -> str:
    path = tmp_path / UNIT
    path.write_text(text)
    done = analyze("verify", *options, str(path), runtime=tmp_path)
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


def lines(text: str) -> list[str]:
    return [each for each in text.splitlines() if "=" in each]


@pytest.mark.parametrize(
    "service",
    [
        SERVICE,
        Service(("/bin/true",), (), in_home=True, leds=True, watchdog=5),
        Service(("/bin/true", "a b", 'a"b', "it's", "100%", "$HOME", "a\\nb", "a;b"), ("audio",)),
    ],
)
def test_the_systems_unit_is_one_that_systemd_takes(tmp_path: Path, service: Service) -> None:
    assert verified(tmp_path, system_unit(service)) == ""


def test_the_users_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    stored = {CREDENTIALS[0]: Path("/home/pi/.config/credstore/100%/retell-api-key")}
    text = user_unit(SERVICE, stored)
    assert "LoadCredential=retell-api-key:/home/pi/.config/credstore/100%%/retell-api-key" in text
    assert verified(tmp_path, text, "--user") == ""


def test_what_systemd_does_not_take_is_told(tmp_path: Path) -> None:
    wrong = system_unit(SERVICE).replace("ProtectClock=yes", "ProtectClocks=yes")
    assert "ProtectClocks" in verified(tmp_path, wrong)


@pytest.mark.parametrize("name", ["with space", "100%", "$HOME", "a;b"])
def test_a_program_is_found_whatever_its_name(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = system_unit(Service((str(program), "--config", name)))
    assert verified(tmp_path, text) == ""
    program.unlink()  # or it would not have been looked for at all
    assert "not executable" in verified(tmp_path, text)


def test_the_systems_unit_is_hardened_as_far_as_sound_allows(tmp_path: Path) -> None:
    path = tmp_path / UNIT
    path.write_text(system_unit(SERVICE))
    done = analyze("security", "--offline=yes", "--threshold=20", str(path))
    assert done.returncode == 0, done.stdout.splitlines()[-1]
    # And the threshold is looked at: without a filter of system calls it is more.
    path.write_text(system_unit(SERVICE).replace("SystemCallFilter=@system-service\n", ""))
    assert analyze("security", "--offline=yes", "--threshold=20", str(path)).returncode == 1


def test_nothing_in_it_takes_sound_buttons_or_the_network_away() -> None:
    for each in lines(system_unit(SERVICE)) + lines(user_unit(SERVICE, {})):
        name, _, value = each.partition("=")
        assert name not in (
            "MemoryDenyWriteExecute",
            "PrivateDevices",
            "PrivateUsers",
            "PrivateIPC",
            "PrivateNetwork",
            "ProcSubset",
        )
        if name == "RestrictAddressFamilies":
            assert {"AF_UNIX", "AF_NETLINK", "AF_INET", "AF_INET6"} == set(value.split())
    allowed = [each for each in lines(system_unit(SERVICE)) if each.startswith("DeviceAllow=")]
    assert [each.split("-")[1] for each in allowed] == ["alsa rw", "input r", "gpiochip rw"]


def test_both_start_again_for_ever_and_wait_for_no_network() -> None:
    for text in (system_unit(SERVICE), user_unit(SERVICE, {})):
        assert {
            "Type=notify",
            "Restart=always",
            "RestartSec=2",
            "StartLimitIntervalSec=0",
            "WatchdogSec=30",
        } <= set(lines(text))
        assert "network-online" not in text


def test_a_users_unit_asks_for_nothing_that_its_manager_cannot_do() -> None:
    # Each of them would end the start, with 218/CAPABILITIES or 226/NAMESPACE.
    names = {each.partition("=")[0] for each in lines(user_unit(SERVICE, {}))}
    assert not names & {"CapabilityBoundingSet", "AmbientCapabilities", "User", "DevicePolicy"}
    assert not [each for each in names if each.startswith(("Protect", "Private"))]
    # PipeWire's threads become real-time ones.
    assert "RestrictRealtime" not in names


def test_what_depends_on_the_machine() -> None:
    plain, other = system_unit(SERVICE), system_unit(Service(("/x",), in_home=True, leds=True))
    assert "ProtectHome=yes" in plain
    assert "ProtectHome=read-only" in other
    assert "ProtectKernelTunables=yes" in plain  # /sys/class/leds is one
    assert "ProtectKernelTunables=no" in other
    assert "SupplementaryGroups=audio\n" in plain
    assert "SupplementaryGroups" not in other
    assert "PA_ALSA_PLUGHW=1" in plain
    assert "PA_ALSA_PLUGHW" not in user_unit(SERVICE, {})
