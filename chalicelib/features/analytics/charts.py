"""Answers as tables (CSV) and as charts (SVG). Pure: text out of the JSON that callers get."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_WIDTH, _HEIGHT = 800, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 48, 44
_COLORS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2", "#dc2626", "#65a30d")
_MOST_LINES = len(_COLORS)
_REST = "all others"
_INK, _FAINT, _GRID = "#1f2937", "#6b7280", "#e5e7eb"
_LABEL_MAX = 28
_TICKS = 5
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for a formula at the beginning of a cell."""


def to_csv(answer: Mapping[str, Any]) -> str:
    """The answer as a table with a heading (RFC 4180)."""
    rows = _table(answer)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([_cell(each) for each in row] for row in rows)
    return text.getvalue()


def to_svg(answer: Mapping[str, Any], title: str) -> str:
    """The answer as a chart of 800 by 400: lines of counts, bars of a funnel, a grid of retention."""
    if "steps" in answer:
        drawn = _bars(answer["steps"])
    elif any("retention" in row for row in answer["data"]) or answer.get("type") == "cohort_retention":
        drawn = _grid(answer["data"])
    else:
        drawn = _lines(answer["data"])
    shown = escape(_short(title, 90))
    told = escape(f"{title}, as of {answer['as_of']}")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'role="img" aria-labelledby="t d" font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">'
        f'<title id="t">{shown}</title><desc id="d">{told}</desc>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>'
        f'<text x="{_LEFT}" y="26" font-size="16" font-weight="600">{shown}</text>'
    )
    return f"{head}{''.join(drawn)}</svg>"


def _table(answer: Mapping[str, Any]) -> list[list[Any]]:
    if "steps" in answer:
        names = ["event", "count", "conversion_rate", "step_conversion_rate", "median_time_to_convert", "still_open"]
        steps = [[place, *(each[name] for name in names)] for place, each in enumerate(answer["steps"], 1)]
        return [["step", *names], *steps]
    data = answer["data"]
    if any("retention" in row for row in data) or answer.get("type") == "cohort_retention":
        periods = max((len(row["retention"]) for row in data), default=1)
        rows = [[row["cohort"], row["size"], *(each["count"] for each in row["retention"])] for row in data]
        return [["cohort", "size", *(f"period_{n}" for n in range(periods))], *rows]
    if any("groups" in row for row in data):
        groups = list(dict.fromkeys(name for row in data for name in row["groups"]))
        return [["date", *groups], *([row["date"], *(row["groups"].get(name, 0) for name in groups)] for row in data)]
    return [["date", "count"], *([row["date"], row["count"]] for row in data)]


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would run is made plain by an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _lines(data: Sequence[Mapping[str, Any]]) -> list[str]:
    series = _series(data)
    top = _round_up(max((max(values, default=0) for values in series.values()), default=0))
    drawn = _axes([row["date"] for row in data], top)
    for (name, values), color in zip(series.items(), _COLORS, strict=False):
        points = [(_x(n, len(values)), _y(value, top)) for n, value in enumerate(values)]
        if len(points) == 1:
            drawn.append(f'<circle cx="{points[0][0]}" cy="{points[0][1]}" r="4" fill="{color}"/>')
        elif points:
            path = " ".join(f"{x},{y}" for x, y in points)
            drawn.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        if name is not None:
            place = list(series).index(name)
            x, y = _LEFT + (place % 4) * 178, _HEIGHT - 2 - 14 * (1 - place // 4)
            drawn.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" rx="2" fill="{color}"/>')
            drawn.append(f'<text x="{x + 14}" y="{y}" font-size="11">{escape(_short(name, 24))}</text>')
    return drawn


def _series(data: Sequence[Mapping[str, Any]]) -> dict[str | None, list[int]]:
    """The counts, or those of the greatest groups and of all others together."""
    if not any("groups" in row for row in data):
        return {None: [row["count"] for row in data]}
    totals: dict[str, int] = {}
    for row in data:
        for name, count in row["groups"].items():
            totals[name] = totals.get(name, 0) + count
    ranked = sorted(totals, key=lambda name: (-totals[name], name))
    shown = ranked if len(ranked) <= _MOST_LINES else ranked[: _MOST_LINES - 1]
    found: dict[str | None, list[int]] = {name: [row["groups"].get(name, 0) for row in data] for name in shown}
    if len(shown) < len(ranked):
        rest = frozenset(ranked[len(shown) :])
        found[_REST] = [sum(count for name, count in row["groups"].items() if name in rest) for row in data]
    return found


def _axes(labels: Sequence[str], top: int) -> list[str]:
    drawn = []
    for n in range(_TICKS):
        value = top * n // (_TICKS - 1)
        y = _y(value, top)
        drawn.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="{_GRID}"/>')
        drawn.append(_text(_LEFT - 8, y + 4, f"{value:,}", anchor="end", color=_FAINT))
    step = max(1, -(-len(labels) // 8))
    for n in range(0, len(labels), step):
        place = _x(n, len(labels)), _HEIGHT - _BOTTOM + 14
        drawn.append(_text(*place, labels[n][:16], anchor="middle", color=_FAINT))
    return drawn


def _bars(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    first = max(1, steps[0]["count"])
    height = min(48, (_HEIGHT - _TOP - 24) // len(steps))
    drawn = []
    for n, step in enumerate(steps):
        y = _TOP + 4 + n * height
        width = max(1, round(430 * step["count"] / first))
        drawn.append(_text(_LEFT - 40, y + height / 2 + 1, f"{n + 1}. {_short(step['event'], _LABEL_MAX)}"))
        drawn.append(f'<rect x="230" y="{y}" width="430" height="{height - 10}" rx="3" fill="{_GRID}"/>')
        drawn.append(f'<rect x="230" y="{y}" width="{width}" height="{height - 10}" rx="3" fill="{_COLORS[0]}"/>')
        told = f"{step['count']:,}" + ("" if step["conversion_rate"] is None else f" · {step['conversion_rate']:.1%}")
        drawn.append(_text(672, y + height / 2 + 1, told))
    return drawn


def _grid(data: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = data[-14:]
    periods = max((len(row["retention"]) for row in rows), default=0)
    columns = min(periods, 16)
    width = min(64, 590 // max(1, columns))
    height = min(28, (_HEIGHT - _TOP - 40) // max(1, len(rows)))
    drawn = [
        _text(186 + n * width + width / 2, _TOP + 12, str(n), anchor="middle", color=_FAINT) for n in range(columns)
    ]
    for n, row in enumerate(rows):
        y = _TOP + 20 + n * height
        drawn.append(_text(_LEFT - 40, y + height / 2 + 4, row["cohort"]))
        drawn.append(_text(168, y + height / 2 + 4, f"{row['size']:,}", anchor="end", color=_FAINT))
        for place, each in enumerate(row["retention"][:columns]):
            rate = each["rate"] or 0
            x = 186 + place * width
            shade = f'<rect x="{x}" y="{y}" width="{width - 2}" height="{height - 2}" rx="2" fill="{_COLORS[0]}"'
            drawn.append(f'{shade} fill-opacity="{0.06 + 0.9 * rate:.2f}"/>')
            color = "#ffffff" if rate > 0.5 else _INK
            told = "" if each["rate"] is None else f"{rate:.0%}"
            drawn.append(_text(x + width / 2 - 1, y + height / 2 + 4, told, anchor="middle", color=color))
    return drawn


def _x(n: int, count: int) -> float:
    return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * (n / (count - 1) if count > 1 else 0.5), 1)


def _y(value: float, top: int) -> float:
    return round(_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / top, 1)


def _round_up(value: int) -> int:
    """A number of one or two digits and zeros, that four equal steps lead to."""
    scale = 4
    while True:
        for step in (1, 2, 3, 5, 6, 8):
            if value <= step * scale:
                return step * scale
        scale *= 10


def _text(x: float, y: float, text: str, *, anchor: str = "start", color: str = _INK) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{color}">{escape(_printable(text))}</text>'


def _short(text: str, most: int) -> str:
    plain = _printable(text)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def _printable(text: Iterable[str]) -> str:
    """The text without what XML does not allow."""
    return "".join(each if each >= " " and each not in "\ufffe\uffff" else " " for each in text)
