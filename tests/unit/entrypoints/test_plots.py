"""Plots: well-formed, made of numbers, honest about empty buckets, and told in words."""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from application.notifications.statistics import OverTime
from domain.notifications.spans import Span
from domain.notifications.statistics import Counted, Counts, Figures, Step, bucket_of, together
from entrypoints.plots import HEADERS, deliveries_plot, shown

NOW = datetime(2026, 5, 17, 10, 23, 45, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def over_time(counts: dict[int, Counts], step: Step = Step.HOUR) -> OverTime:
    """A span of which these buckets, by their numbers, hold something."""
    span = Span.asked(NOW, step=step)
    buckets = tuple((start, Figures.of(counts.get(number, {}))) for number, start in enumerate(span.starts))
    return OverTime(span, buckets, Figures.of(together(counts.values())))


def drawn(found: OverTime, name: str = "all destinations") -> ET.Element:
    """The plot, read as a browser would."""
    return ET.fromstring(deliveries_plot(found, name))  # our own


def path(plot: ET.Element, kind: str) -> str:
    """The last path of a class, which is the data's, not the legend's."""
    return next(
        (p.get("d", "") for p in reversed(plot.findall(f"{SVG}path")) if kind in p.get("class", "").split()), ""
    )


SOME: dict[int, Counts] = {
    3: {(Counted.ARRIVED, bucket_of(timedelta(milliseconds=100))): 30, (Counted.MISSED, 100): 10},
    4: {(Counted.ARRIVED, bucket_of(timedelta(milliseconds=100))): 20},
    9: {(Counted.MISSED, bucket_of(timedelta(seconds=1))): 1},
}


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("counts", [{}, SOME])
def test_a_plot_is_well_formed_and_loads_nothing(step: Step, counts: dict[int, Counts]) -> None:
    """No script, no link, no picture in it; whatever the name is."""
    plot = drawn(over_time(counts, step), '<script>&"')
    assert {element.tag.removeprefix(SVG) for element in plot.iter()} <= {
        "svg",
        "title",
        "desc",
        "style",
        "rect",
        "path",
        "text",
    }
    assert not [name for element in plot.iter() for name in element.attrib if name.startswith("on") or "href" in name]
    assert plot.findtext(f"{SVG}title") == 'Delivery attempts: <script>&"'


def test_only_the_plots_own_style_is_allowed() -> None:
    """By its hash: anything else that got in would not be used."""
    style = drawn(over_time(SOME)).findtext(f"{SVG}style") or ""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert HEADERS["Content-Security-Policy"] == f"default-src 'none'; style-src 'sha256-{digest}'"


def test_every_bucket_has_its_place_and_an_empty_one_stays_empty() -> None:
    """Bars stand where their buckets are, on a scale from nothing; missed attempts stand upon those that arrived."""
    plot = drawn(over_time(SOME))
    arrived = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v-([\d.]+)", path(plot, "arrived"))
    missed = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v-([\d.]+)", path(plot, "missed"))
    assert (len(arrived), len(missed)) == (2, 2)
    slot = float(arrived[1][0]) - float(arrived[0][0])
    assert float(missed[1][0]) - float(arrived[0][0]) == pytest.approx(6 * slot, abs=0.1)
    assert float(arrived[0][3]) == pytest.approx(1.5 * float(arrived[1][3]), abs=0.1)
    assert float(missed[0][1]) == pytest.approx(float(arrived[0][1]) - float(arrived[0][3]), abs=0.1)
    assert float(missed[0][3]) == pytest.approx(float(arrived[0][3]) / 3, abs=0.1)


def test_the_line_breaks_where_nothing_was_tried() -> None:
    """A line through an empty hour would tell of durations that nobody measured."""
    line = path(drawn(over_time(SOME)), "line")
    assert (line.count("M"), line.count("L")) == (2, 1)


def test_one_failure_beside_a_million_is_seen() -> None:
    """A hair high, not nothing."""
    plot = drawn(over_time({5: {(Counted.ARRIVED, 1): 1_000_000, (Counted.MISSED, 1): 1}}))
    assert "v-1.00" in path(plot, "missed")


def test_axes_have_units_and_the_time_zone() -> None:
    """And the description says it all in words."""
    plot = drawn(over_time(SOME))
    texts = [text.text for text in plot.findall(f"{SVG}text")]
    assert {"Attempts per hour", "p95 duration, s (right)", "Arrived", "Missed"} <= set(texts)
    assert "Time in UTC, 2026-05-16 to 2026-05-17" in texts
    told = plot.findtext(f"{SVG}desc") or ""
    assert "From 2026-05-16 10:00 to 2026-05-17 11:00 UTC by hour: 61 attempts, 50 arrived, 11 missed." in told
    assert plot.get("role") == "img"
    assert plot.get("aria-labelledby") == "t d"


def test_a_plot_of_400_days_is_small() -> None:
    """It is read over slow lines too."""
    span = Span.asked(NOW, since=NOW - Step.DAY.kept, step=Step.DAY)
    counts = {(Counted.ARRIVED, 130): 123456, (Counted.MISSED, 150): 789}
    buckets = tuple((start, Figures.of(counts)) for start in span.starts)
    assert len(deliveries_plot(OverTime(span, buckets, Figures.of(counts)), "x")) < 50_000


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0 ms"), (0.4321, "0.43 ms"), (12.3, "12 ms"), (999, "999 ms"), (1230, "1.2 s"), (90_000, "1.5 min")],
)
def test_durations_have_units(milliseconds: float, text: str) -> None:
    """Two figures: no more is known."""
    assert shown(timedelta(milliseconds=milliseconds)) == text
