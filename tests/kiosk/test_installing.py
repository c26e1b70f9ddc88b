"""What an installation would do, and that its steps do it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

if sys.platform != "linux":
    pytest.skip("systemd is Linux's", allow_module_level=True)

from typer.testing import CliRunner

from retell_voice.cli.app import program
from retell_voice.errors import ConfigError
from retell_voice.kiosk.service import commands as commands_
from retell_voice.kiosk.service import installing
from retell_voice.kiosk.service.installing import (
    SYSTEM_UNITS,
    Machine,
    for_user,
    install,
    look,
    uninstall,
    unreachable,
)
from retell_voice.kiosk.service.steps import Remove, Run, Step, Write, carry_out, show
from retell_voice.kiosk.service.unit import UNIT

CONFIG = Path("/etc/retell-voice/config.toml")
LITE = Machine(
    uid=0,
    user="pi",
    home=Path("/home/pi"),
    systemd=252,
    users=frozenset({"root", "pi"}),
    groups=frozenset({"root", "pi", "audio", "gpio"}),
    program=Path("/opt/retell-voice/bin/python"),
)
DESKTOP = replace(LITE, uid=1000, sound_server=True, unreachable="/home/pi")


def commands(steps: list[Step]) -> list[str]:
    return [" ".join(each.words) for each in steps if isinstance(each, Run)]


def written(steps: list[Step]) -> dict[str, str]:
    return {str(each.path): each.text for each in steps if isinstance(each, Write)}


def test_without_a_sound_server_it_is_a_unit_of_the_system_with_a_user_of_its_own() -> None:
    assert not for_user(LITE, system=None)
    steps = install(LITE, CONFIG, user=False)
    assert commands(steps) == [
        "useradd --system --user-group --home-dir /var/lib/retell-voice "
        "--shell /usr/sbin/nologin retell-voice",
        "chgrp retell-voice /etc/retell-voice/config.toml",
        "chmod u=rw,g=r,o= /etc/retell-voice/config.toml",
        "systemctl daemon-reload",
        "systemctl enable retell-voice-kiosk.service",
        "systemctl restart --no-block retell-voice-kiosk.service",
    ]
    (unit,) = written(steps).values()
    assert list(written(steps)) == ["/etc/systemd/system/retell-voice-kiosk.service"]
    # A group that is not there would keep it from starting: 216/GROUP.
    assert "SupplementaryGroups=audio gpio\n" in unit
    assert (
        "ExecStart=/opt/retell-voice/bin/python -P -m retell_voice kiosk --config "
        "/etc/retell-voice/config.toml\n" in unit
    )


def test_a_user_and_a_group_that_are_there_are_used() -> None:
    grouped = replace(LITE, groups=LITE.groups | {"retell-voice"})
    assert "--gid retell-voice" in commands(install(grouped, CONFIG, user=False))[0]
    again = replace(grouped, users=LITE.users | {"retell-voice"})
    assert commands(install(again, CONFIG, user=False))[0].startswith("chgrp")


def test_with_a_sound_server_it_is_a_unit_of_the_user_that_outlives_the_session() -> None:
    assert for_user(DESKTOP, system=None)
    steps = install(DESKTOP, CONFIG, user=True, start=False)
    assert commands(steps) == [
        "loginctl enable-linger pi",
        "systemctl --user daemon-reload",
        "systemctl --user enable retell-voice-kiosk.service",
    ]
    assert list(written(steps)) == ["/home/pi/.config/systemd/user/retell-voice-kiosk.service"]
    lingering = install(replace(DESKTOP, lingers=True), CONFIG, user=True)
    assert commands(lingering)[0] == "systemctl --user daemon-reload"  # it may be root's to say


def test_a_users_credentials_are_named_where_they_are_there() -> None:
    stored = {"retell-api-key": Path("/home/pi/.config/credstore/retell-api-key")}
    (text,) = written(install(replace(DESKTOP, stored=stored), CONFIG, user=True)).values()
    assert "LoadCredential=retell-api-key:/home/pi/.config/credstore/retell-api-key\n" in text
    assert "retell-mqtt-password" not in text


def test_what_was_asked_for_goes_before_what_was_found() -> None:
    assert for_user(LITE, system=False)
    assert not for_user(DESKTOP, system=True)


def test_lamps_need_a_rule_of_udevs_and_a_sys_that_can_be_written() -> None:
    steps = install(LITE, CONFIG, user=False, leds=True)
    files = written(steps)
    assert "chgrp retell-voice" in files["/etc/udev/rules.d/60-retell-voice-leds.rules"]
    assert "ProtectKernelTunables=no" in files[str(SYSTEM_UNITS / UNIT)]
    assert commands(steps)[3:5] == [
        "udevadm control --reload",
        "udevadm trigger --subsystem-match=leds",
    ]


@pytest.mark.parametrize(
    ("machine", "user", "says", "try_"),
    [
        (replace(LITE, systemd=0), False, "no systemd", "retell-voice kiosk"),
        (replace(LITE, systemd=247), False, "systemd 247 is too old", "252"),
        (replace(LITE, uid=1000), False, "takes root", "sudo"),
        (LITE, True, "installed by that user", "without sudo"),
        (replace(LITE, sound_server=True), True, "sound server runs for pi", "--system"),
        (replace(LITE, unreachable="/home/pi"), False, "cannot enter /home/pi", "/opt"),
        (replace(LITE, program=Path('/opt/"x"/python')), False, "quotes", ""),
    ],
)
def test_what_would_not_run_is_not_installed(
    machine: Machine, user: bool, says: str, try_: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        install(machine, CONFIG, user=user)
    assert try_ in caught.value.hint


def test_a_program_in_a_home_that_all_may_enter_is_readable_there() -> None:
    machine = replace(LITE, in_home=True)
    (text,) = written(install(machine, CONFIG, user=False)).values()
    assert "ProtectHome=read-only\n" in text


def test_uninstalling_takes_away_what_was_installed_and_no_more() -> None:
    steps = uninstall(LITE, user=False)
    removed = [str(each.path) for each in steps if isinstance(each, Remove)]
    assert set(removed) == set(written(install(LITE, CONFIG, user=False, leds=True)))
    assert commands(steps) == [
        "systemctl disable --now retell-voice-kiosk.service",
        "systemctl daemon-reload",
    ]
    (users,) = (each for each in uninstall(DESKTOP, user=True) if isinstance(each, Remove))
    assert [str(users.path)] == list(written(install(DESKTOP, CONFIG, user=True)))
    with pytest.raises(ConfigError, match="takes root"):
        uninstall(DESKTOP, user=False)


def test_a_directory_that_only_its_owner_enters_is_found() -> None:
    with TemporaryDirectory(dir="/tmp") as directory:
        program = Path(directory) / "bin" / "python"
        program.parent.mkdir(mode=0o755)
        assert unreachable(program) == directory
        Path(directory).chmod(0o755)
        assert unreachable(program) == ""
        assert unreachable(program.with_name("gone") / "python") == str(program.with_name("gone"))


def test_this_machine_is_looked_at() -> None:
    machine = look()
    assert machine.program.is_absolute()
    assert "root" in machine.users
    assert machine.home.is_absolute()
    real = Path(sys.executable).resolve()
    in_home = real.is_relative_to("/home") or real.is_relative_to("/root")
    assert machine.in_home or not in_home


def test_a_file_is_written_whole_and_readable_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / UNIT
    carry_out([Write(path, "one\n")])
    carry_out([Write(path, "two\n")])
    assert path.read_text() == "two\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]
    carry_out([Remove(path), Remove(path)])
    assert not path.exists()


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / UNIT).mkdir()
    (tmp_path / UNIT / "full").touch()
    with pytest.raises(ConfigError, match=UNIT):
        carry_out([Write(tmp_path / UNIT, "x")])
    assert [each.name for each in tmp_path.iterdir()] == [UNIT]
    with pytest.raises(ConfigError, match=UNIT):
        carry_out([Remove(tmp_path / UNIT)])


def test_a_command_that_fails_ends_it_and_says_what_it_said(tmp_path: Path) -> None:
    after = Write(tmp_path / "after", "")
    with pytest.raises(ConfigError, match=r"sh -c .*: no such unit") as caught:
        carry_out([Run(("sh", "-c", "echo one; echo no such unit >&2; exit 4"), hint="try"), after])
    assert caught.value.hint == "try"
    with pytest.raises(ConfigError, match="exit code 3"):
        carry_out([Run(("sh", "-c", "exit 3"))])
    with pytest.raises(ConfigError, match="not-there: No such file"):
        carry_out([Run(("not-there",))])
    assert not after.path.exists()
    carry_out([Run(("sh", "-c", "exit 3"), needed=False), Run(("not-there",), needed=False), after])
    assert after.path.exists()


def test_all_of_it_can_be_seen_before() -> None:
    steps = install(LITE, CONFIG, user=False)
    shown = show(steps)
    for each in steps:
        assert each.shown() in shown
    assert "$ systemctl daemon-reload\n" in shown
    assert "# /etc/systemd/system/retell-voice-kiosk.service\n[Unit]\n" in shown
    removed = show(uninstall(LITE, user=False))
    assert "$ rm -f /etc/systemd/system/retell-voice-kiosk.service\n" in removed


# The commands


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[Step]]:
    """Whatever is carried out, which is not."""
    found: list[list[Step]] = []
    monkeypatch.setattr(commands_, "carry_out", found.append)
    monkeypatch.setattr(installing, "look", lambda: LITE)
    monkeypatch.setattr(installing, "STORE", Path("/nowhere"))
    return found


def kiosk(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(program(), ["kiosk", *arguments])
    return result.exit_code, result.output


def test_the_command_shows_what_it_would_do_and_does_nothing(asked: list[list[Step]]) -> None:
    code, shown = kiosk("install", "--dry-run")
    assert code == 0
    assert shown == show(install(LITE, CONFIG, user=False))
    assert "ExecStart=/opt/retell-voice/bin/python" in shown
    code, shown = kiosk("uninstall", "--dry-run")
    assert (code, shown) == (0, show(uninstall(LITE, user=False)))
    assert asked == []


def test_the_command_installs_what_the_config_file_says(
    asked: list[list[Step]], tmp_path: Path
) -> None:
    config = tmp_path / "kiosk.toml"
    config.write_text('[kiosk]\nled = "ACT"\nled_error = "GPIO27"\n')
    code, shown = kiosk("install", "--config", str(config), "--no-start")
    assert code == 0
    assert asked == [install(LITE, config, user=False, start=False, leds=True)]
    assert "installed retell-voice-kiosk.service, a unit of the system" in shown
    assert "sudo install -D -m 600 /dev/stdin /nowhere/retell-api-key" in shown
    config.write_text('[kiosk]\ncall_command = "fetch-a-call"\n')
    code, shown = kiosk("install", "--config", str(config))
    assert asked[1:] == [install(LITE, config, user=False)]
    assert "API key" not in shown


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "there is no such file"), ('[kiosk]\nled = "a/b"\n', "line 2: led")],
)
def test_a_config_file_that_would_not_do_is_told_now(
    asked: list[list[Step]], tmp_path: Path, text: str | None, says: str
) -> None:
    config = tmp_path / "kiosk.toml"
    if text is not None:
        config.write_text(text)
    code, shown = kiosk("install", "--config", str(config))
    assert code == 2
    assert says in shown
    assert asked == []


def test_uninstalling_by_the_command(asked: list[list[Step]]) -> None:
    code, shown = kiosk("uninstall", "--system")
    assert code == 0
    assert asked == [uninstall(LITE, user=False)]
    assert "removed" in shown
    code, shown = kiosk("uninstall", "--user")
    assert code == 2
    assert "installed by that user" in shown
