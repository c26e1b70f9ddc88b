"""Resolves settings of a call that exclude each other."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from retell_voice.errors import ConfigError
from retell_voice.program.companions import refuse_what_has_no_effect
from retell_voice.settings.schema import Sourced, table
from retell_voice.settings.tables.talk import TalkSettings


def settle(settings: TalkSettings) -> TalkSettings:
    """Return the settings without those that a stronger one excludes.

    Raises:
        ConfigError: both were given on the command line, or both name the same file.
    """
    wanted = settings.llm if settings.llm.value else settings.scenario
    if wanted.is_flag and wanted.value and not settings.local.value:
        if settings.local.is_flag:
            raise ConfigError(
                f"{wanted.source} and {settings.local.source} exclude each other: give only one",
                f"{wanted.source} is for the emulator in this process",
            )
        settings = replace(settings, local=Sourced(True, wanted.source))
    for names in (
        ("call_id", "agent"),
        ("local", "agent"),
        ("json", "plain"),
        ("typed", "input_file"),
        ("input_file", "input"),
        ("output_file", "output"),
    ):
        settings = _settle_pair(settings, *names)
    if settings.url.is_flag:  # there is always a URL; only one on the command line excludes --local
        settings = _settle_pair(settings, "local", "url")
    refuse_what_has_no_effect(settings)
    _check_files(settings)
    if settings.typed.value and (why := no_typing(settings)):
        raise ConfigError(
            f"{settings.typed.source}: {why}",
            ""
            if settings.local.value
            else "an emulator in a process of its own takes it there: retell-voice emulator --llm",
        )
    return settings


def no_typing(settings: TalkSettings) -> str:
    """Return why nothing can be typed in a call instead of spoken; empty: it can."""
    if not settings.local.value:
        return "this server takes no typed text; the emulator does: --local, --llm"
    return "a scenario takes no typed text" if settings.scenario.value else ""


def _check_files(settings: TalkSettings) -> None:
    inputs, output = settings.input_file.value or (), settings.output_file.value
    if output and any(_is_same(each, output) for each in inputs):
        raise ConfigError(
            f"{settings.input_file.source} and {settings.output_file.source} name the same file",
            "the second would overwrite the first",
        )
    readers = [settings.input_file.source] * inputs.count("-")
    readers += [settings.typed.source] * settings.typed.value
    readers += [settings.call_id.source] * (settings.call_id.value == "-")
    if len(readers) > 1:
        raise ConfigError(f"{readers[0]} and {readers[1]} both read standard input: give only one")


def _settle_pair(settings: TalkSettings, one: str, other: str) -> TalkSettings:
    """Drop the one of two with the weaker source; the first if both are equal."""
    first: Sourced[Any] = getattr(settings, one)
    second: Sourced[Any] = getattr(settings, other)
    if not (first.value and second.value):
        return settings
    if first.is_flag and second.is_flag:
        raise ConfigError(f"{first.source} and {second.source} exclude each other: give only one")
    weaker = one if second.is_flag else other
    return replace(settings, **{weaker: Sourced(table(TalkSettings)[weaker].default)})


def _is_same(one: str, other: str) -> bool:
    one, other = os.path.expanduser(one), os.path.expanduser(other)
    try:
        return os.path.samefile(one, other) and os.path.isfile(one)  # /dev/null may be both
    except OSError:  # at least one does not exist, so no harm
        return False
