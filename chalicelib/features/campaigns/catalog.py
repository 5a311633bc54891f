"""All campaigns of a project, compiled, with the indexes from what happens to the campaigns that it concerns. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from chalicelib.core.rules.needs import reads
from chalicelib.core.rules.parse import parse
from chalicelib.features.campaigns.decision import Compiled, compiled
from chalicelib.features.campaigns.model import Campaign


class Catalog:
    """A project's campaigns at one version of its definitions."""

    def __init__(self, version: int, campaigns: Sequence[Campaign]) -> None:
        self.version = version
        self.campaigns = {each.id: each for each in campaigns}
        self._compiled: dict[str, Compiled] = {}
        # Who is in a campaign that is paused leaves it as from one that is active; it takes nobody in.
        self._exits = _by(campaigns, ("active", "paused"), lambda each: each.exit_on)
        self._events = _by(campaigns, ("active",), _trigger_events)
        self._segments = _by(campaigns, ("active",), _trigger_segments)

    def compiled(self, campaign_id: str) -> Compiled:
        """The campaign with its rules compiled. Raises KeyError where there is none."""
        if campaign_id not in self._compiled:
            self._compiled[campaign_id] = compiled(self.campaigns[campaign_id])
        return self._compiled[campaign_id]

    def started_by(self, event: str) -> Sequence[str]:
        """The active campaigns that an event of that name may start."""
        return self._events.get(event, ())

    def started_in(self, segment_id: str) -> Sequence[str]:
        """The active campaigns that entering the segment may start."""
        return self._segments.get(segment_id, ())

    def left_by(self, event: str) -> Sequence[str]:
        """The campaigns that an event of that name ends for a contact."""
        return self._exits.get(event, ())

    def using(self, *, segment_id: str | None = None, template_id: str | None = None) -> list[str]:
        """The campaigns that are active or paused and name the segment, or use the template."""
        return [
            each.id
            for each in self.campaigns.values()
            if each.status in ("active", "paused")
            and (segment_id in _segments_of(each) or any(step.template_id == template_id for step in each.steps))
        ]


def _segments_of(campaign: Campaign) -> set[str | None]:
    """All segments that a campaign names, in its rules too."""
    filters = campaign.trigger.filters if campaign.trigger is not None else None
    rules = [each for each in (filters, *(step.conditions for step in campaign.steps)) if each is not None]
    named: set[str | None] = {*campaign.uses_segments}
    return named.union(*(reads(parse(each, has_cause=True)).segments for each in rules))


def _trigger_events(campaign: Campaign) -> Iterable[str]:
    trigger = campaign.trigger
    return [trigger.event] if trigger is not None and trigger.event is not None else []


def _trigger_segments(campaign: Campaign) -> Iterable[str]:
    trigger = campaign.trigger
    alone = trigger is not None and trigger.event is None
    return [trigger.segment_id] if trigger is not None and alone and trigger.segment_id is not None else []


def _by(
    campaigns: Sequence[Campaign], statuses: Sequence[str], names: Callable[[Campaign], Iterable[str]]
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for each in campaigns:
        if each.type == "lifecycle" and each.status in statuses:
            for name in names(each):
                found[name].append(each.id)
    return dict(found)
