"""The guide to shaping says what the code does."""

import re
from pathlib import Path

import pytest

from domain.notifications.envelopes import Envelope
from domain.notifications.filter_evaluation import LONGEST_LIST, LONGEST_TEXT
from domain.notifications.filter_grammar import FUNCTIONS, MAX_FILTER, MAX_NESTING, MAX_NODES
from domain.notifications.filters import Filter
from domain.notifications.flattening import MAX_FLATTENED
from domain.notifications.formats import FORMATS
from domain.notifications.globs import LONGEST
from domain.notifications.named_shapes import NAMED
from domain.notifications.output import MAX_DEPTH, MAX_OUTPUT, WORK
from domain.notifications.paths import MAX_STEPS
from domain.notifications.placeholders import MAX_FORMATS
from domain.notifications.templates import MAX_PLACEHOLDERS, MAX_TEMPLATE, Template

GUIDE = (Path(__file__).resolve().parents[4] / "docs/shaping.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(?:text|json)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_example_parses(block: str) -> None:
    """People copy them."""
    read = Filter.parse(block) if block.startswith("data.") else Template.parse(block)
    assert read.text == block


def test_there_are_examples_of_both() -> None:
    """Otherwise the test above compares nothing."""
    assert {block[:5] for block in BLOCKS} >= {"data.", "Invoi", '{\n  "'}


@pytest.mark.parametrize("name", [*FORMATS, *(f"{name}(" for name in FUNCTIONS), *(e.value for e in Envelope), *NAMED])
def test_every_word_is_explained(name: str) -> None:
    """What is not in the guide is not there for a user."""
    assert f"`{name}" in GUIDE


@pytest.mark.parametrize(
    "bound",
    [
        f"{MAX_TEMPLATE // 1024} KiB, {MAX_PLACEHOLDERS} placeholders, JSON {MAX_DEPTH} levels deep",
        f"| {MAX_OUTPUT // 1024} KiB |",
        f"| {WORK * MAX_OUTPUT:,} characters and elements",
        f"up to {MAX_FORMATS} follow each other",
        f"at most {MAX_STEPS} names",
        f"{MAX_FILTER // 1024} KiB, {MAX_NODES} values and conditions, {MAX_NESTING} levels",
        f"{LONGEST_TEXT:,} characters, {LONGEST_LIST:,} elements",
        f"up to {LONGEST:,} characters",
        f"beyond {MAX_FLATTENED // 1024 // 1024} MiB or {MAX_DEPTH} levels",
    ],
)
def test_every_bound_is_the_codes(bound: str) -> None:
    """A bound that moved and a guide that did not cost somebody an afternoon."""
    assert bound in GUIDE
