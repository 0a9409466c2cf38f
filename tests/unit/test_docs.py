"""The documentation says what the code does: what can be compared, is."""

import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path

import attrs
import click
import pytest
from prometheus_client import CollectorRegistry

from adapters.providers import PROVIDERS
from domain.notifications.health import FAILURES_UNTIL_DISABLED
from domain.notifications.schedule import DEFAULT
from entrypoints.cli import main
from entrypoints.metrics import Metrics
from entrypoints.settings import PREFIX, Settings
from entrypoints.wiring import JOBS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ADRS = sorted((DOCS / "adr").glob("[0-9]*.md"))
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))
CODE = ("domain", "application", "adapters", "entrypoints", "tests")

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
_PATH = re.compile(rf"`((?:{'|'.join(CODE)}|docs)/[\w./-]*)`")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
every_adr = pytest.mark.parametrize("adr", ADRS, ids=lambda adr: adr.stem)


@cache
def text_of(page: Path) -> str:
    """A page's text."""
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    """A dead link is worse than none: the reader thinks that the answer was there."""
    for link in _LINK.findall(text_of(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link} has no such heading"


def test_every_picture_is_there_and_says_what_it_shows() -> None:
    """Also to those who cannot see it."""
    for page in PAGES:
        for shows, path in _PICTURE.findall(text_of(page)):
            assert shows.strip()
            assert (page.parent / path).exists(), f"{page.name}: {path} is missing"


@every_page
def test_every_file_that_is_named_exists(page: Path) -> None:
    """Files move; the sentence about them stays behind."""
    for path in _PATH.findall(text_of(page)):
        assert (ROOT / path).exists(), f"there is no {path}"


@every_adr
def test_a_decision_has_its_parts_and_is_one_sentence(adr: Path) -> None:
    """A page that can be quoted is a page that is obeyed."""
    text = text_of(adr)
    assert re.match(rf"# {adr.stem[:4]}\. \S", text)
    assert re.search(r"^- Status: (proposed|accepted|replaced by \d{4})$", text, re.MULTILINE)
    assert re.search(r"^- Date: \d{4}-\d{2}-\d{2}$", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Rejected"]
    decision = text.partition("## Decision\n\n")[2].partition("\n\n")[0]
    lines = decision.splitlines()
    assert all(line.startswith("> ") for line in lines)
    sentence = " ".join(line.removeprefix("> ") for line in lines)
    assert sentence.endswith(".")
    assert not re.search(r"[.!?] [A-Z]", sentence)
    assert "**The rule**" in text
    assert "**Checked by**" in text


def test_every_decision_is_in_the_index_under_its_title() -> None:
    """Whoever looks for a reason begins there."""
    index = dict(
        re.findall(r"^\| \[\d{4}\]\((\d{4}-[\w-]+\.md)\) \| (.+) \|$", text_of(DOCS / "adr/README.md"), re.MULTILINE)
    )
    titles = {adr.name: text_of(adr).splitlines()[0].partition(". ")[2] for adr in ADRS}
    assert index == titles
    assert [adr.stem[:4] for adr in ADRS] == [f"{number:04d}" for number in range(1, len(ADRS) + 1)]


def test_every_decision_that_the_code_names_has_its_page() -> None:
    """A comment that says "ADR 0005" promises a reason."""
    numbers = {adr.stem[:4] for adr in ADRS}
    files = [file for folder in CODE for file in (ROOT / folder).rglob("*.py")]
    named = {
        number for file in (*files, ROOT / "pyproject.toml") for number in re.findall(r"ADR (\d{4})", text_of(file))
    }
    assert named <= numbers


@every_adr
def test_the_contracts_that_a_decision_names_are_kept(adr: Path) -> None:
    """A rule whose check was renamed away is a wish."""
    configured = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]
    contracts = {contract["name"] for contract in configured["importlinter"]["contracts"]}
    prose = " ".join(text_of(adr).split())
    for run in re.findall(r"import-linter contracts? (\"[^\"]+\"(?:(?:, | and )\"[^\"]+\")*)", prose):
        assert set(re.findall(r"\"([^\"]+)\"", run)) <= contracts
    selected = tuple(configured["ruff"]["lint"]["select"])
    for run in re.findall(r"ruff (`[A-Z]+\d*`(?: and `[A-Z]+\d*`)*)", prose):
        assert all(code.startswith(selected) for code in re.findall(r"`([A-Z]+\d*)`", run))


def settings_table() -> dict[str, str]:
    """Each setting of the table with what stands in the column of its default."""
    rows = re.findall(rf"^\| `{PREFIX}(\w+)` \| (.*?) \|", text_of(DOCS / "getting-started.md"), re.MULTILINE)
    return dict(rows)


def test_every_setting_is_explained_and_no_other() -> None:
    """The table is what an operator has."""
    fields = {field.name.upper() for field in attrs.fields(Settings)}
    assert set(settings_table()) == fields
    for page in PAGES:
        named = set(re.findall(rf"\b{PREFIX}([A-Z_]*[A-Z])\b", text_of(page)))
        assert {name for name in named if name not in fields and name.removesuffix("_FILE") not in fields} <= set()


def test_the_defaults_in_the_table_are_those_of_the_code() -> None:
    """Somebody plans a firewall by them."""
    settings = Settings.read({})
    shown = {name: default for name, default in settings_table().items() if re.fullmatch("`[^`]+`", default)}
    assert len(shown) >= 8
    for name, default in shown.items():
        assert str(getattr(settings, name.lower())) == default.strip("`")


def commands(group: click.Group, before: str = "patchbay") -> Iterator[str]:
    """Every command with what is typed before it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before} {name}")
            if not command.invoke_without_command:
                continue
        yield f"{before} {name}"


def test_every_command_is_in_the_documentation_and_no_other() -> None:
    """What is not written down is found by nobody; what is gone is typed for years."""
    written = "\n".join(text_of(page) for page in PAGES)
    known = set(commands(main))
    assert {command for command in known if not re.search(rf"{command}\b", written)} == set()
    for words in re.findall(r"(?:`|\$ |/bin/)patchbay ([a-z]+(?: [a-z]+)?)", written):
        first = words.split()[0]
        assert first in main.commands, f"there is no patchbay {first}"
        group = main.commands[first]
        if isinstance(group, click.Group) and " " in words:
            assert words.split()[1] in group.commands, f"there is no patchbay {words}"


def test_every_metric_is_explained_and_no_other() -> None:
    """A number without a meaning wakes people at night."""
    registry = CollectorRegistry()
    Metrics(registry)
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in registry.collect()
        if not family.name.endswith("_created")
    }
    assert set(re.findall(r"`(patchbay_[a-z_]+)`", text_of(DOCS / "operating.md"))) == names


def test_every_job_is_explained_with_how_often_it_runs() -> None:
    """The table is compared with the jobs themselves."""
    table = dict(re.findall(r"^\| `([a-z-]+)` \| (\d+ \w+) \|", text_of(DOCS / "operating.md"), re.MULTILINE))
    assert table == {job.name: _in_words(job.every) for job in JOBS}


def test_the_retry_schedule_in_the_documentation_is_the_one_in_use() -> None:
    """Receivers plan their maintenance by it."""
    [row] = re.findall(r"^\| the next comes in \| (.+) \|$", text_of(DOCS / "events.md"), re.MULTILINE)
    units = {"s": "seconds", "min": "minutes", "h": "hours"}
    *waits, last = row.split(" | ")
    assert last == "never"
    read = [timedelta(**{units[unit]: int(number)}) for number, unit in (wait.split() for wait in waits)]
    assert tuple(read) == DEFAULT.delays
    assert f"**{FAILURES_UNTIL_DISABLED} deliveries in a row**" in text_of(DOCS / "events.md")


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.slug)
def test_every_provider_has_its_page(provider: object) -> None:
    """Its manifest points there, and so do the console and the catalogue."""
    slug, docs = provider.slug, provider.docs  # type: ignore[attr-defined]
    assert docs == f"providers/{slug}.md"
    assert (DOCS / docs).exists()
    assert f"providers/{slug}.md" in text_of(DOCS / "getting-started.md")


def test_the_glossary_is_in_order_and_says_where_each_word_lives() -> None:
    """Looked through, never read."""
    entries = re.findall(r"^\*\*(.+?)\*\* — ", text_of(DOCS / "glossary.md"), re.MULTILINE)
    assert len(entries) > 40
    assert entries == sorted(entries, key=str.lower)


def test_the_readme_fits_on_a_screen_and_begins_with_the_two_commands() -> None:
    """It is the first minute."""
    readme = text_of(ROOT / "README.md")
    assert len(readme.splitlines()) <= 60
    assert "make demo" in readme
    assert "make test" in readme


def _in_words(every: timedelta) -> str:
    minutes = int(every.total_seconds()) // 60
    number, unit = (minutes // 60, "hour") if minutes % 60 == 0 else (minutes, "minute")
    return f"{number} {unit}{'s' if number > 1 else ''}"
