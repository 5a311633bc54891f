"""SQL whose values never come into its text: they are bound in the order in which it names them. Pure.

A template names a value as `:name` and a part of other SQL as `{name}`. The same text runs on the embedded engine and
on Athena: what they spell differently is a value (`JsonPath`), or a macro of the embedded one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

_PLACE = re.compile(r":([a-z_]+)|\{([a-z_]+)\}")
_FOLDER = Path(__file__).parent / "sql"


class JsonPath(NamedTuple):
    """The value of one key at the top of a JSON object; each engine has its own text for it."""

    key: str

    def dollar_dot(self) -> str:
        """As the embedded engine reads it: `$."key"`."""
        return f'$."{_escaped(self.key)}"'

    def dollar_bracket(self) -> str:
        """As Athena reads it: `$["key"]`."""
        return f'$["{_escaped(self.key)}"]'


Value = str | int | JsonPath


@dataclass(frozen=True, slots=True)
class Sql:
    """A text with a `?` for each of the values, in this order."""

    text: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """A query of named tables, each of which may use those before it."""

    tables: Mapping[str, Sql]
    select: Sql

    def sql(self) -> Sql:
        """The whole as one query."""
        named = [Sql(f"{name} AS (\n{table.text}\n)", table.values) for name, table in self.tables.items()]
        together = joined(named, ",\n")
        return Sql(f"WITH {together.text}\n{self.select.text}", together.values + self.select.values)


def fill(template: str, **parts: Sql | Value) -> Sql:
    """The template with its values bound and its parts put in. Raises KeyError for a name that was not given."""
    values: list[Value] = []

    def put(match: re.Match[str]) -> str:
        given = parts[match[1] or match[2]]
        if match[1]:
            if isinstance(given, Sql):
                raise TypeError(f"{match[1]} is a value of the template")
            values.append(given)
            return "?"
        if not isinstance(given, Sql):
            raise TypeError(f"{match[2]} is a part of the template, and no value")
        values.extend(given.values)
        return given.text

    return Sql(_PLACE.sub(put, template), tuple(values))


def of_file(name: str, **parts: Sql | Value) -> Sql:
    """The same of a template in the folder `sql`."""
    return fill(_text(name), **parts)


def joined(parts: Iterable[Sql], separator: str) -> Sql:
    """The parts behind each other."""
    some = list(parts)
    return Sql(separator.join(part.text for part in some), tuple(value for part in some for value in part.values))


def listed(values: Sequence[Value]) -> Sql:
    """`(?, ?)`, for IN."""
    return Sql(f"({', '.join('?' * len(values))})", tuple(values))


@cache
def _text(name: str) -> str:
    lines = (_FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("--"))


def _escaped(key: str) -> str:
    return key.replace("\\", "\\\\").replace('"', '\\"')
