"""Where referral links lead."""

from chalicelib.core.mail.agents import is_robot
from chalicelib.core.mail.links import ascii_url
from chalicelib.edge.call import Call, Reply
from chalicelib.edge.pages import message
from chalicelib.edge.router import Router
from chalicelib.flows.referrals import link

router = Router("Referral links")

_FOUND, _NOT_FOUND = 302, 404


@router.get("/r/{code}", access="public")
def follow_referral_link(call: Call[None, None]) -> Reply:
    """Count a click, and go on to where the program's links lead, with the code as `ref`."""
    counts = call.request.method == "GET" and not is_robot(call.request.headers.get("user-agent"))
    url = link.follow(call.path["code"], counts=counts)
    if url is None:
        return message("There is no such link", "Ask whoever gave it to you for a new one.", status=_NOT_FOUND)
    return Reply("", status=_FOUND, headers={"Location": ascii_url(url), "Cache-Control": "no-store"})
