"""Programs of the system that some tests need; scripts/setup installs them where all must run."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def needed(program: str, package: str) -> str:
    """Return where a program is; without it skip, and say so, or fail where all tests must run."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        missing(f"{program} is not there (Debian's package {package})")
    return found


def missing(words: str) -> NoReturn:
    """Skip a test, or fail where all tests must run."""
    if os.environ.get("CI") == "true":
        pytest.fail(words)
    pytest.skip(words)
