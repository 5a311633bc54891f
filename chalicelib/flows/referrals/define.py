"""Create programs, change them, and delete them with their links.

A change of where links lead, and a deletion, are told to the bus: each link's code is then rewritten, in a job.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from chalicelib.core import events, ids
from chalicelib.features.codes import service as codes
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.model import Link, Program
from chalicelib.features.surveys import service as surveys
from chalicelib.platform import definitions, jobs, outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.listing import LAGS_S
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried
from chalicelib.platform.table import ConditionFailed, Op

if TYPE_CHECKING:
    from chalicelib.features.referrals.schemas import NewProgram, ProgramPatch

KIND: Final = "rewrite_links"
"""The kind of the job."""

_AT_ONCE = 25


def create(tenant: Tenant, body: "NewProgram", now: int, receipt: Receipt) -> Program:
    """A new program. Raises Conflict over the limit."""
    from chalicelib.features.referrals.schemas import defined
    from chalicelib.flows.referrals.answers import detailed

    made = defined(body, ids.new_id("ref_prog"), now, projects.get(tenant).domain)
    answer = detailed(made, {}).model_dump(mode="json")
    retried(lambda: receipt.commit(referrals.creation(tenant, made), 201, answer))
    return made


def change(tenant: Tenant, program_id: str, patch: "ProgramPatch", now: int) -> Program:
    """Change a program; what was given by it stands. Raises NotFound."""
    from chalicelib.features.referrals.schemas import changes

    def act() -> Program:
        before = referrals.get(tenant, program_id)
        after = replace(before, **changes(patch, before))
        if after == before:
            return before
        after = replace(after, updated_at=now, version=before.version + 1)
        moves = before.landing_url != after.landing_url
        table.transact([*referrals.change_ops(tenant, after), *(_told(tenant, program_id, now) if moves else [])])
        return after

    return retried(act)


def remove(tenant: Tenant, program_id: str, now: int) -> None:
    """Delete a program: its links lead nowhere within seconds; conversions and rewards stay.

    Raises NotFound, and Conflict where a survey that is active or paused gives links of it.
    """

    def act() -> None:
        version = definitions.version(tenant)
        referrals.get(tenant, program_id)
        surveys.check_unused(tenant, program_id=program_id)
        table.transact([*referrals.removal(tenant, program_id, version), *_told(tenant, program_id, now)])

    retried(act)


def start(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin to rewrite the links of programs that have moved, on the bus; may be repeated."""
    for event in told:
        jobs.send(tenant, KIND, {"program_id": event.data["program_id"], "of": event.id}, delay_s=LAGS_S)


def rewrite(tenant: Tenant, data: Mapping[str, Any], has_time: Callable[[], bool]) -> Mapping[str, Any] | None:
    """Let links lead where their program says now, as long as there is time; returns where to go on.

    The links of a program that is gone are removed.
    """
    following = data.get("before")
    while True:
        program = referrals.find(tenant, data["program_id"])
        some, following = referrals.some_links(tenant, data["program_id"], _AT_ONCE, following)
        for each in some:
            _rewrite(tenant, each, program)
        if following is None:
            return None
        if not has_time():
            return dict(data) | {"before": following}


def _rewrite(tenant: Tenant, link: Link, program: Program | None) -> None:
    ops: list[Op] = (
        [codes.remove_op(tenant, link.code), referrals.remove_link(tenant, link)]
        if program is None
        else [
            codes.change_op(tenant, link.code, landing_url=program.landing_url),
            referrals.still_defined(tenant, program),
        ]
    )
    try:
        table.transact(ops)
    except ConditionFailed:
        # The code went with its contact, or a change of the program has come after, whose own job does this.
        return


def _told(tenant: Tenant, program_id: str, now: int) -> list[Op]:
    return [outbox.emit(tenant, events.PROGRAM_MOVED, {"program_id": program_id}, now)]
