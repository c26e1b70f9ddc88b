"""What parsers of outside input have been given, replayed; ``scripts/fuzz`` goes on from there."""

from __future__ import annotations

import random
import sys
from itertools import islice
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from fuzz_parts.mutate import mutations
from fuzz_parts.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_and_what_is_near_it_break_nothing(name: str) -> None:
    seeds = [each.read_bytes() for each in sorted((CORPUS / name).iterdir())]
    assert seeds
    for data in (b"", *seeds, *islice(mutations(seeds, random.Random(1)), 60)):
        TARGETS[name](data)


def test_every_folder_of_the_corpus_is_a_targets() -> None:
    assert {each.name for each in CORPUS.iterdir()} == set(TARGETS)


def test_mutations_differ_and_can_be_had_again() -> None:
    first, again = (list(islice(mutations([b"abc", b"def"], random.Random(7)), 50)) for _ in "12")
    assert first == again
    assert len(set(first)) > 20
