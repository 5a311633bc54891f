"""Whose the events of contacts are that were merged, deleted, or have lost an anonymous id. Pure.

It is the rule by which `platform/lineage.owners` follows rows of the table, over what the lake has of contacts.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

ALL = ""
"""In place of an anonymous id: all events of a contact, but for those of anonymous ids that are told apart."""


class Edge(NamedTuple):
    """A row of a contact that is not active (`visitor` empty), or of an anonymous id that it has lost to the heir."""

    contact_id: str
    visitor: str
    version: int
    status: str
    heir: str | None


class Moved(NamedTuple):
    """Events that lie with the contact are the owner's; nobody's where that is None."""

    contact_id: str
    visitor: str
    owner: str | None


def resolve(edges: Iterable[Edge], gone: Iterable[str]) -> list[Moved]:
    """All that is not, or may not be, whose it lies with; of several rows of one thing the latest version counts.

    `gone` are contacts that were deleted whatever their rows say.
    """
    latest: dict[tuple[str, str], Edge] = {}
    for edge in edges:
        known = latest.get((edge.contact_id, edge.visitor))
        if known is None or edge.version > known.version:
            latest[edge.contact_id, edge.visitor] = edge
    for contact_id in gone:
        latest[contact_id, ALL] = Edge(contact_id, ALL, 0, "gone", None)
    asked = {(contact_id, ALL) for contact_id, visitor in latest if visitor == ALL}
    return [Moved(*each, _owner(latest, *each)) for each in sorted(asked | set(_through(latest)))]


def _through(latest: Mapping[tuple[str, str], Edge]) -> Iterable[tuple[str, str]]:
    """Anonymous ids that were lost, with each contact whose events of them pass by the loser."""
    into: defaultdict[str, list[str]] = defaultdict(list)
    for (contact_id, visitor), edge in latest.items():
        if visitor == ALL and edge.status == "merged" and edge.heir is not None:
            into[edge.heir].append(contact_id)
    for loser, visitor in latest:
        if visitor == ALL:
            continue
        waiting, seen = [loser], {loser}
        while waiting:
            at = waiting.pop()
            yield at, visitor
            following = [each for each in into[at] if each not in seen]
            seen.update(following)
            waiting += following


def _owner(latest: Mapping[tuple[str, str], Edge], contact_id: str, visitor: str) -> str | None:
    """Follow the events to whose they are. Who is reached twice has them: what was lost has come home meanwhile."""
    at, passed = contact_id, {contact_id}
    while True:
        edge = latest.get((at, visitor)) if visitor != ALL else None
        if edge is None or edge.heir == at:
            edge = latest.get((at, ALL))
        if edge is None or edge.status == "active":
            return at
        if edge.heir is None:
            return None
        at = edge.heir
        if at in passed:
            return at
        passed.add(at)
