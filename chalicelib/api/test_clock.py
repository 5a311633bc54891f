"""The clock of a test project, where time stands until it is asked to advance, and the mailbox of what it sent."""

from chalicelib.core.schema import Page, PageQuery
from chalicelib.edge.call import Call
from chalicelib.edge.router import Router
from chalicelib.features.messaging import service as messaging
from chalicelib.features.messaging.schemas import KeptMail, kept
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.schemas import AdvanceBody, ClockView, clock_view

router = Router("Testing")


@router.get("/v1/test_clock", scope="settings:read", answer=ClockView, test_only=True)
def get_test_clock(call: Call[None, None]) -> ClockView:
    """Get the clock of a test project. A live project has none."""
    stands = projects.test_clock(call.tenant)
    return clock_view(stands.now, stands.status)


@router.post(
    "/v1/test_clock/advance",
    scope="settings:write",
    body=AdvanceBody,
    answer=ClockView,
    idempotent=True,
    test_only=True,
)
def advance_test_clock(call: Call[None, AdvanceBody]) -> ClockView:
    """Advance the clock of a test project. What falls due until then runs, each at its own moment and in order."""
    return projects.ask_to_advance(call.tenant, call.body, call.receipt)


@router.get("/v1/test_mailbox", scope="campaigns:read", query=PageQuery, answer=Page[KeptMail], test_only=True)
def list_test_mailbox(call: Call[PageQuery, None]) -> Page[KeptMail]:
    """List the mails that a test project has sent, newest first. A live project has no such list."""
    rows, following = messaging.mailbox(call.tenant, call.query.limit, call.query.cursor)
    return Page(data=[kept(row) for row in rows], has_more=following is not None, next_cursor=following)
