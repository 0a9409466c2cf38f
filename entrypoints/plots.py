"""Statistics drawn as SVG: made of numbers only, without scripts, links or anything to load."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from math import floor, log10
from xml.sax.saxutils import escape

from application.notifications.statistics import OverTime
from domain.notifications.statistics import Figures, Step

MEDIA_TYPE = "image/svg+xml"

_WIDTH, _HEIGHT = 720, 332
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 640, 78, 274
_TICKS = 4
_LABELS = 6

STYLE = (
    "svg{color-scheme:light dark}"
    "text{font:13px system-ui,sans-serif;fill:#3d4743}"
    ".ground{fill:#fffefb}.grid{stroke:#dfdcd1}.axis{stroke:#8b8f86}"
    ".arrived{fill:#58aa9d}.missed{fill:#a52a22}.late{stroke:#1f3f91}"
    ".line{fill:none;stroke-width:2.5;stroke-linecap:round;stroke-linejoin:round}"
    "@media (prefers-color-scheme:dark){text{fill:#c3cec9}.ground{fill:#171e1c}.grid{stroke:#2a3431}"
    ".axis{stroke:#6b7a74}.arrived{fill:#2f8578}.missed{fill:#f2948a}.late{stroke:#9cc4f5}}"
    "@media (max-width:520px){text{font-size:26px}.wide{display:none}.line{stroke-width:4}}"
)
"""Below 520 pixels the picture shrinks; its letters grow, and every other label goes."""

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
    ),
    "Cache-Control": "private, max-age=30",
}
"""What an answer with a plot says: its one style sheet may be used, and nothing else may happen."""

_UNITS = (
    ("days", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("min", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
    ("ms", timedelta(milliseconds=1)),
)
_SHOWN = {Step.MINUTE: "%H:%M", Step.HOUR: "%H:%M", Step.DAY: "%d %b"}


def deliveries_plot(found: OverTime, name: str) -> str:
    """Attempts that arrived and missed as stacked bars, with the 95th percentile of their duration as a line.

    Args:
        found: what to draw. Times are in UTC, and the plot says so.
        name: whose deliveries these are, for the title.
    """
    figures = [figures for _, figures in found.buckets]
    most = _rounded(max((one.attempts for one in figures), default=0), least=4)
    slowest = max((one.duration.p95 for one in figures if one.duration), default=timedelta())
    longest = timedelta(milliseconds=_rounded(slowest / timedelta(milliseconds=1), least=1))
    unit, length = _unit(longest)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(f"Delivery attempts: {name}")}</title><desc id="d">{escape(_told(found))}</desc>',
        f'<style>{STYLE}</style><rect class="ground" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>',
        *_legend(found.span.step, unit),
        *_grid(most, longest / length),
        _bars("arrived", figures, most, lambda one: (0, one.arrived)),
        _bars("missed", figures, most, lambda one: (one.arrived, one.attempts)),
        _line(figures, longest),
        *_times([start for start, _ in found.buckets], found.span.step),
        "</svg>",
    ]
    return "".join(parts)


def _told(found: OverTime) -> str:
    """The plot in words, for who hears it."""
    span, total = found.span, found.total
    told = (
        f"From {span.since:%Y-%m-%d %H:%M} to {span.until:%Y-%m-%d %H:%M} UTC by {span.step.value}: "
        f"{total.attempts} attempts, {total.arrived} arrived, {total.missed} missed."
    )
    if total.duration is not None:
        told += f" 95 % of the attempts took at most {shown(total.duration.p95)}."
    return told


def _legend(step: Step, unit: str) -> Iterable[str]:
    yield '<rect class="arrived" x="70" y="12" width="14" height="14"/><text x="90" y="24">Arrived</text>'
    yield '<rect class="missed" x="196" y="12" width="14" height="14"/><text x="216" y="24">Missed</text>'
    yield f'<path class="late line" d="M318 19h18"/><text x="344" y="24">p95 duration, {unit} (right)</text>'
    yield f'<text x="10" y="50">Attempts per {step.value}</text>'


def _grid(most: float, longest: float) -> Iterable[str]:
    for tick in range(_TICKS + 1):
        y = _BOTTOM - (_BOTTOM - _TOP) * tick / _TICKS
        wide = ' class="wide"' if tick % 2 else ""
        yield f'<path class="{"grid" if tick else "axis"}" d="M{_LEFT} {y:.1f}H{_RIGHT}"/>'
        yield f'<text{wide} x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(most * tick / _TICKS)}</text>'
        yield f'<text{wide} x="{_RIGHT + 6}" y="{y + 4:.1f}">{_figures(longest * tick / _TICKS)}</text>'


def _bars(kind: str, figures: Sequence[Figures], most: float, between: Callable[[Figures], tuple[int, int]]) -> str:
    """All bars of one kind as one path, from one number of attempts to another."""
    slot = (_RIGHT - _LEFT) / max(len(figures), 1)
    width = slot * (0.8 if slot > 3 else 1)
    scale = (_BOTTOM - _TOP) / most
    drawn = []
    for index, one in enumerate(figures):
        low, high = between(one)
        if high > low:
            x = _LEFT + slot * index + (slot - width) / 2
            # What happened at all is seen: a single failure beside a million is a hair high.
            height = max((high - low) * scale, 1)
            drawn.append(f"M{x:.2f} {_BOTTOM - low * scale:.2f}h{width:.2f}v{-height:.2f}h{-width:.2f}z")
    return f'<path class="{kind}" d="{"".join(drawn)}"/>' if drawn else ""


def _line(figures: Sequence[Figures], longest: timedelta) -> str:
    """It breaks where nothing was tried."""
    slot = (_RIGHT - _LEFT) / max(len(figures), 1)
    drawn, pen = [], "M"
    for index, one in enumerate(figures):
        if one.duration is None:
            pen = "M"
            continue
        y = _BOTTOM - (_BOTTOM - _TOP) * (one.duration.p95 / longest)
        drawn.append(f"{pen}{_LEFT + slot * (index + 0.5):.2f} {y:.2f}" + ("h0" if pen == "M" else ""))
        pen = "L"
    return f'<path class="late line" d="{"".join(drawn)}"/>' if drawn else ""


def _times(starts: Sequence[datetime], step: Step) -> Iterable[str]:
    """Where some of the buckets begin; hours of more than two days name the day."""
    form = _SHOWN[Step.DAY] if len(starts) > 48 and step is Step.HOUR else _SHOWN[step]
    every = -(-len(starts) // _LABELS) or 1
    slot = (_RIGHT - _LEFT) / max(len(starts), 1)
    for number, index in enumerate(range(0, len(starts), every)):
        wide = ' class="wide"' if number % 2 else ""
        x = _LEFT + slot * index
        yield f'<path class="axis" d="M{x:.1f} {_BOTTOM}v5"/>'
        yield f'<text{wide} x="{x:.1f}" y="{_BOTTOM + 22}">{starts[index].strftime(form)}</text>'
    if starts:
        last = starts[-1]
        yield f'<text x="{_LEFT}" y="{_HEIGHT - 8}">Time in UTC, {starts[0]:%Y-%m-%d} to {last:%Y-%m-%d}</text>'


def _rounded(top: float, *, least: float) -> float:
    """Where an axis may end, so that its quarters are round as well."""
    top = max(top, least)
    power = 10.0 ** floor(log10(top))
    return next(step * power for step in (1.2, 2, 4, 6, 8, 12) if step * power >= top * (1 - 1e-12))


def _short(number: float) -> str:
    """1200 as 1.2k. An axis that ends at 1 has quarters."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"


def shown(duration: timedelta) -> str:
    """A duration with its unit, to two figures: no more is known of it."""
    unit, length = _unit(duration)
    return f"{_figures(duration / length)} {unit}"


def _unit(duration: timedelta) -> tuple[str, timedelta]:
    """The longest unit of which it is one at least."""
    return next(((name, length) for name, length in _UNITS if duration >= length), _UNITS[-1])


def _figures(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{float(f'{number:.2g}'):g}"
