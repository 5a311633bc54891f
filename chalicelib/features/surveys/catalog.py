"""All surveys of a project, with the indexes from what happens to the surveys that it concerns. Pure."""

from collections import defaultdict
from collections.abc import Sequence

from chalicelib.core.rules.compiled import Rules, compile_rules
from chalicelib.core.rules.needs import reads
from chalicelib.core.rules.parse import parse
from chalicelib.features.surveys.model import Survey


class Catalog:
    """A project's surveys at one version of its definitions."""

    def __init__(self, version: int, surveys: Sequence[Survey]) -> None:
        self.version = version
        self.surveys = {each.id: each for each in surveys}
        self._filters: dict[str, Rules | None] = {}
        self._by_event: dict[str, list[str]] = defaultdict(list)
        self._by_segment: dict[str, list[str]] = defaultdict(list)
        for each in surveys:
            trigger = each.trigger
            if each.status != "active" or each.repeat is not None:
                continue  # a recurring one asks by its sweeps alone
            if trigger.event is not None:
                self._by_event[trigger.event].append(each.id)
            elif trigger.segment_id is not None:
                self._by_segment[trigger.segment_id].append(each.id)

    @property
    def main(self) -> Survey | None:
        """The oldest active survey that goes by email: whose link mails have."""
        active = (each for each in self.surveys.values() if each.status == "active" and "email" in each.channels)
        return min(active, key=lambda each: each.id, default=None)

    def filters(self, survey_id: str) -> Rules | None:
        """The compiled filters of its trigger. Raises KeyError where there is no such survey."""
        if survey_id not in self._filters:
            raw = self.surveys[survey_id].trigger.filters
            self._filters[survey_id] = None if raw is None else compile_rules(parse(raw, has_cause=True))
        return self._filters[survey_id]

    def asked_by(self, event: str) -> Sequence[str]:
        """The active surveys that an event of that name may send."""
        return self._by_event.get(event, ())

    def asked_in(self, segment_id: str) -> Sequence[str]:
        """The active surveys that entering the segment may send."""
        return self._by_segment.get(segment_id, ())

    def using(
        self, *, segment_id: str | None = None, template_id: str | None = None, program_id: str | None = None
    ) -> list[str]:
        """The surveys that are active or paused and name the segment, the template, or the referral program."""
        return [
            each.id
            for each in self.surveys.values()
            if each.status in ("active", "paused")
            and (
                (segment_id is not None and segment_id in _segments_of(each))
                or (template_id is not None and each.email_template_id == template_id)
                or (program_id is not None and program_id in {one.referral_program_id for one in each.actions.values()})
            )
        ]


def _segments_of(survey: Survey) -> set[str | None]:
    """All segments that a survey names, in its rules too."""
    raw = survey.trigger.filters
    named = set() if raw is None else reads(parse(raw, has_cause=True)).segments
    return {survey.trigger.segment_id, *named}
