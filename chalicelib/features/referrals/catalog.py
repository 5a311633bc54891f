"""All referral programs of a project, by what concerns them. Pure."""

from collections import defaultdict
from collections.abc import Sequence

from chalicelib.features.referrals.model import Program


class Catalog:
    """A project's programs at one version of its definitions."""

    def __init__(self, programs: Sequence[Program]) -> None:
        """`programs` begin with the oldest."""
        self.programs = {each.id: each for each in programs}
        self._converting: dict[str, list[Program]] = defaultdict(list)
        for each in programs:
            if each.conversion_event is not None:
                self._converting[each.conversion_event].append(each)

    def converting(self, event: str) -> Sequence[Program]:
        """The programs in which an event of that name is a conversion, paused ones too."""
        return self._converting.get(event, ())

    @property
    def main(self) -> Program | None:
        """The program that a mail's `referral_link` is of: the oldest active one."""
        return next((each for each in self.programs.values() if each.status == "active"), None)
