"""Whether rules hold for a contact at a moment, when that changes by itself, and why."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from chalicelib.core.clock import iso
from chalicelib.core.rules.compiled import Branch, Rules
from chalicelib.core.rules.facts import Facts, Judge
from chalicelib.core.rules.leaves import Leaf
from chalicelib.core.rules.model import PRESENCE, Condition
from chalicelib.core.rules.values import LAST_MOMENT

_MAX_STEPS = 10_000


class Verdict(NamedTuple):
    """`flips_at` is the first moment (ms) after the one asked for at which `holds` changes while data do not.

    None where that never happens, or after the year 9999.
    """

    holds: bool
    flips_at: int | None


_FOREVER = {holds: Verdict(holds, None) for holds in (True, False)}


def evaluate(rules: Rules, facts: Facts, now: int) -> Verdict:
    """Whether the rules hold for the contact at `now` (ms), and until when."""
    return _verdict(rules.root.judge, rules.segments, facts, now)


def explain(rules: Rules, facts: Facts, now: int) -> dict[str, Any]:
    """The rules as a tree, each node with `holds` and `flips_at` (ISO text or None).

    Conditions have `actual` too, what the contact has, and `evidence`, the ids of the events counted, newest first, or
    of a funnel's best attempt, in the order of its steps. Both are of the events that `facts` has: a count is the whole
    count if they are all of its window.
    """
    return _explained(rules.root, rules.segments, facts, now)


def _verdict(judge: Judge, segments: frozenset[str], facts: Facts, now: int) -> Verdict:
    if segments:
        _settle(segments, facts, now)
    holds, moment, flips = judge(facts, now)
    steps = 0
    # After too many steps without a change, the moment reached is one at which to ask again.
    while not flips and moment <= LAST_MOMENT and steps < _MAX_STEPS:
        if segments:
            _settle(segments, facts, moment)
        then, until, flips = judge(facts, moment)
        if then is not holds:
            break
        moment = until
        steps += 1
    return Verdict(holds, moment) if moment <= LAST_MOMENT else _FOREVER[holds]


def _settle(wanted: Iterable[str], facts: Facts, now: int) -> None:
    """Judge the segments that rules name, those that they name first; without recursion, for a chain may be long."""
    waiting = list(wanted)
    opened: set[str] = set()
    while waiting:
        segment_id = waiting[-1]
        segment = facts.segments.get(segment_id, False)
        if isinstance(segment, bool) or (segment_id, now) in facts.settled:
            waiting.pop()
        elif segment_id not in opened:
            opened.add(segment_id)
            waiting.extend(segment.segments - opened)
        else:
            facts.settled[segment_id, now] = segment.judge(facts, now)
            waiting.pop()


def _explained(node: Branch | Leaf, segments: frozenset[str], facts: Facts, now: int) -> dict[str, Any]:
    verdict = _verdict(node.judge, segments, facts, now)
    told = {"holds": verdict.holds, "flips_at": None if verdict.flips_at is None else iso(verdict.flips_at)}
    if isinstance(node, Branch):
        conditions = [_explained(child, segments, facts, now) for child in node.children]
        return {"operator": node.operator, **told, "conditions": conditions}
    evidence = node.evidence(facts, now) if node.evidence else []
    return {**_written(node.condition), **told, "actual": node.actual(facts, now), "evidence": evidence}


def _written(condition: Condition) -> dict[str, Any]:
    """The condition as its caller wrote it."""
    written: dict[str, Any] = {"field": condition.field, "op": condition.op}
    if condition.op not in PRESENCE:
        written["value"] = condition.value
    if condition.window is not None:
        written["window"] = condition.window
    if condition.where:
        written["where"] = [_written(part) for part in condition.where]
    return written
