"""All segments of a project, compiled, with the index from what changes to the segments that depend on it. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from chalicelib.core.rules.compiled import Rules, compile_rules
from chalicelib.core.rules.needs import Reads, reads
from chalicelib.core.rules.parse import parse
from chalicelib.features.segments.model import Segment


class Catalog:
    """A project's segments at one version of its definitions."""

    def __init__(self, version: int, segments: Sequence[Segment]) -> None:
        self.version = version
        self.segments = {segment.id: segment for segment in segments}
        self.rules: dict[str, Rules] = {}
        self._reads: dict[str, Reads] = {}
        for segment in segments:
            if segment.rules is not None:
                group = parse(segment.rules)
                self.rules[segment.id] = compile_rules(group)
                self._reads[segment.id] = reads(group)
        self.static = self.segments.keys() - self.rules.keys()
        self._dependents = _inverted({key: read.segments for key, read in self._reads.items()})
        self._by_field = _inverted({key: read.fields for key, read in self._reads.items()})
        self._by_event = _inverted({key: read.events for key, read in self._reads.items()})
        self._by_campaign = _inverted({key: read.campaigns for key, read in self._reads.items()})

    def concerned(self, fields: Iterable[str], events: Iterable[str]) -> set[str]:
        """The dynamic segments whose verdict may depend on one of these fields or events, directly or by another.

        Fields are named as in rules, traits by their key (`traits.plan`).
        """
        found = {one for name in fields for one in self._by_field.get(name, ())}
        found |= {one for name in events for one in self._by_event.get(name, ())}
        return self.with_dependents(found)

    def concerned_by_campaign(self, campaign_id: str) -> set[str]:
        """The dynamic segments whose verdict may depend on what a contact has got or done of the campaign."""
        return self.with_dependents(self._by_campaign.get(campaign_id, ()))

    def with_dependents(self, segment_ids: Iterable[str]) -> set[str]:
        """These segments, those that name them, and so on; static ones are not judged and so left out."""
        found: set[str] = set()
        waiting = list(segment_ids)
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self._dependents.get(one, ())
        return found & self.rules.keys()

    def reads_field(self, segment_id: str, fields: Iterable[str]) -> bool:
        """True where the segment, or one that it names, reads one of the fields."""
        return segment_id in self.concerned(fields, ())

    def judged_with(self, segment_ids: Iterable[str]) -> dict[str, Rules]:
        """The compiled rules of these segments and of all that they name in turn."""
        found: dict[str, Rules] = {}
        waiting = list(segment_ids)
        while waiting:
            one = waiting.pop()
            if one in self.rules and one not in found:
                found[one] = self.rules[one]
                waiting += self.rules[one].segments
        return found

    def naming(self, segment_id: str) -> list[str]:
        """The segments whose rules name this one."""
        return sorted(self._dependents.get(segment_id, ()))

    def would_circle(self, segment_id: str, rules: Rules) -> bool:
        """True where these rules, as the segment's own, would make it depend on itself."""
        return segment_id in {one for named in rules.segments for one in (named, *self._named_by(named))}

    def _named_by(self, segment_id: str) -> set[str]:
        return {one for rules in self.judged_with([segment_id]).values() for one in rules.segments}


def _inverted(sets: Mapping[str, frozenset[str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for key, members in sets.items():
        for member in members:
            found[member].add(key)
    return dict(found)
