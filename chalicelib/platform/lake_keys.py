"""Keys of analytics: what the lake holds of a project, who was deleted lately, and its funnels and cohorts.

| item | PK | SK |
|---|---|---|
| what of a hot object is the project's | `P#<p>#LAKE` | `HOT#<object>` |
| which objects are live | `P#<p>#LAKE` | `MANIFEST` |
| a contact that was deleted within a day | `P#<p>#GONE` | `<moment>#<contact id>` |
| funnel, cohort | `P#<p>#FUNNELS`, `P#<p>#COHORTS` | `<id>` |
| a project with something to compact | `LAKE#WAITING` | `<project id>` |
| the projects that a hot object is still of use to | `LAKE#OBJECT#<object>` | `OBJECT` |
"""

from dataclasses import dataclass

from chalicelib.platform.key_shapes import Key, moment_sk
from chalicelib.platform.survey_keys import SurveyKeys

_HOT = "HOT#"


def lake_waiting(project_id: str) -> Key:
    """That the project has something to compact."""
    return Key(lake_waiting_partition(), project_id)


def lake_waiting_partition() -> str:
    """All projects that have something to compact."""
    return "LAKE#WAITING"


def lake_object(name: str) -> Key:
    """Which projects a hot object is still of use to."""
    return Key(f"LAKE#OBJECT#{name}", "OBJECT")


@dataclass(frozen=True, slots=True)
class LakeKeys(SurveyKeys):
    """What belongs to one project."""

    def hot(self, name: str) -> Key:
        return Key(self.manifest().pk, f"{_HOT}{name}")

    def hot_rows(self) -> tuple[str, str]:
        """Partition and sort-key prefix of what the project has in hot objects."""
        return self.manifest().pk, _HOT

    def hot_name(self, sort: str) -> str:
        """The object that the row with that sort key tells of."""
        return sort.removeprefix(_HOT)

    def manifest(self) -> Key:
        return Key(f"{self._root}#LAKE", "MANIFEST")

    def gone(self, moment: int, contact_id: str) -> Key:
        """That a contact was deleted, at `moment` in ms of the real clock."""
        return Key(self.gone_partition(), moment_sk(moment, contact_id))

    def gone_partition(self) -> str:
        return f"{self._root}#GONE"

    def funnel(self, funnel_id: str) -> Key:
        return Key(self.funnels_partition(), funnel_id)

    def funnels_partition(self) -> str:
        return f"{self._root}#FUNNELS"

    def cohort(self, cohort_id: str) -> Key:
        return Key(self.cohorts_partition(), cohort_id)

    def cohorts_partition(self) -> str:
        return f"{self._root}#COHORTS"
