"""Whose a row of a timeline is while histories move from one contact to another. Pure.

A contact that takes over another one, or one anonymous id of it, reads both partitions until all rows have been copied
into its own. So no row is ever out of sight, and one that stands in both is told by its event id.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Source(NamedTuple):
    """A partition whose rows are being moved: all of them, or those of one anonymous id alone.

    `id` is that of the move, `ceded_by` are the contacts that have lost the anonymous id on its way here.
    """

    id: str
    contact_id: str
    anonymous_id: str | None = None
    ceded_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where the rows of one contact lie: in its own partition and in those of its sources.

    `ceded` maps anonymous ids that belong to another contact by now to that contact: their rows, wherever they still
    lie in these partitions, are no longer this one's.
    """

    contact_id: str
    sources: tuple[Source, ...] = ()
    ceded: Mapping[str, str] = field(default_factory=dict)

    @property
    def partitions(self) -> list[str]:
        """The contacts in whose partitions rows lie; the own one last.

        Rows are copied before they are removed: who reads the sources first finds each row at least once.
        """
        return [*dict.fromkeys(source.contact_id for source in self.sources), self.contact_id]

    def owns(self, partition: str, user_id: str | None, anonymous_id: str | None) -> bool:
        """True where a row with these ids, found in that contact's partition, is this contact's."""
        alone = anonymous_id if user_id is None else None
        if alone is not None and alone in self.ceded:
            return False
        if partition == self.contact_id:
            return True
        return any(source.contact_id == partition and source.anonymous_id in (None, alone) for source in self.sources)
