"""From a rule tree to closures over a contact's facts: compiled once, evaluated often."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chalicelib.core.rules.facts import NEVER, Facts, Judge, Reading
from chalicelib.core.rules.leaves import Leaf, compile_condition
from chalicelib.core.rules.model import Condition, Group, Operator


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """A compiled group; `children` in the order in which they were written."""

    operator: Operator
    children: tuple["Branch | Leaf", ...]
    judge: Judge
    cost: int


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """A compiled rule tree; `segments` are the ids that it names itself."""

    root: Branch
    segments: frozenset[str]

    @property
    def judge(self) -> Judge:
        """The root's."""
        return self.root.judge

    def leaves(self) -> Iterator[Leaf]:
        """All compiled conditions."""
        return _leaves(self.root)


def compile_rules(group: Group) -> Rules:
    """The compiled form of a parsed tree."""
    root = _branch(group)
    named = [leaf.condition.value for leaf in _leaves(root) if leaf.condition.field == "segments"]
    ids = [one for value in named for one in (value if isinstance(value, list) else [value])]
    return Rules(root, frozenset(ids))


def _leaves(node: Branch | Leaf) -> Iterator[Leaf]:
    if isinstance(node, Leaf):
        yield node
    else:
        for child in node.children:
            yield from _leaves(child)


def _branch(group: Group) -> Branch:
    children = tuple(map(_node, group.conditions))
    judges = [child.judge for child in sorted(children, key=lambda child: child.cost)]
    judge = _not(judges[0]) if group.operator == "NOT" else _decided_by(group.operator == "OR", judges)
    return Branch(group.operator, children, judge, max(child.cost for child in children))


def _node(part: Group | Condition) -> Branch | Leaf:
    return compile_condition(part) if isinstance(part, Condition) else _branch(part)


def _not(judge: Judge) -> Judge:
    def negated(facts: Facts, now: int) -> Reading:
        holds, until, flips = judge(facts, now)
        return not holds, until, flips

    return negated


def _decided_by(answer: bool, judges: Sequence[Judge]) -> Judge:
    """AND, which one false child decides, or OR, which one true child does.

    While that child stays as it is, so does the group; where none decides, until the first of all changes.
    """
    if len(judges) == 1:
        return judges[0]

    def judge(facts: Facts, now: int) -> Reading:
        until, flips = NEVER, True
        for child in judges:
            reading = child(facts, now)
            if reading[0] is answer:
                # When it changes, another child may decide as it did.
                return answer, reading[1], reading[1] == NEVER
            if reading[1] < until:
                _, until, flips = reading
        return not answer, until, flips

    return judge
