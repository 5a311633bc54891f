"""The links in mails: the picture that tells of its opening, links on their way, and leaving the list."""

from chalicelib.core.mail.agents import is_machine
from chalicelib.core.mail.links import ascii_url
from chalicelib.edge.call import Call, Reply
from chalicelib.edge.pages import Brand, message
from chalicelib.edge.requests import Request
from chalicelib.edge.router import Router
from chalicelib.features.projects import service as projects
from chalicelib.flows.campaigns import track
from chalicelib.platform import mail_tokens
from chalicelib.platform.mail_tokens import Kind, Token
from chalicelib.platform.token_text import BadToken

router = Router("Mail")

_BAD_REQUEST, _FOUND = 400, 302
_KEPT_NOWHERE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}

# All of it below 0x80, so that it passes as text: an answer of bytes would need the gateway to know its type.
_PIXEL = "GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"


@router.get("/o/{token}", access="public")
def open_mail(call: Call[None, None]) -> Reply:
    """Show the picture of a mail."""
    token = _token(call, "open")
    if token is not None and _is_person(call.request):
        track.opened(token)
    status = _BAD_REQUEST if token is None else 200
    return Reply(_PIXEL, status=status, headers={"Content-Type": "image/gif"} | _KEPT_NOWHERE)


@router.get("/c/{token}", access="public")
def follow_link(call: Call[None, None]) -> Reply:
    """Go on to where a link of a mail leads."""
    token = _token(call, "click")
    if token is None or token.url is None:
        return _broken()
    if _is_person(call.request):
        track.fetched(token)
    return Reply("", status=_FOUND, headers={"Location": ascii_url(token.url)} | _KEPT_NOWHERE)


@router.get("/u/{token}", access="public")
def ask_to_unsubscribe(call: Call[None, None]) -> Reply:
    """Ask whether to leave the list. A GET alone changes nothing: scanners follow every link."""
    token = _token(call, "unsubscribe")
    if token is None:
        return _broken()
    brand = _brand(token)
    text = f"Do you want no more mail from {brand.name if brand else 'this sender'}?"
    return message("Unsubscribe", text, brand=brand, button="Unsubscribe")


@router.post("/u/{token}", access="public")
def unsubscribe(call: Call[None, None]) -> Reply:
    """Leave the list at once, as mail programs do by one click (RFC 8058)."""
    token = _token(call, "unsubscribe")
    if token is None:
        return _broken()
    track.unsubscribe(token)
    text = "You will get no more mail from this sender. You may close this page."
    return message("You are unsubscribed", text, brand=_brand(token))


def _brand(token: Token) -> Brand | None:
    project = projects.find(token.tenant)
    return Brand.of(project) if project is not None else None


def _token(call: Call[None, None], kind: Kind) -> Token | None:
    try:
        return mail_tokens.read(call.path["token"], kind)
    except BadToken:
        return None


def _is_person(request: Request) -> bool:
    return request.method == "GET" and not is_machine(request.headers.get("user-agent"))


def _broken() -> Reply:
    text = "This link is not complete. Copy it from the mail again, or ask whoever sent it."
    return message("This link does not work", text, status=_BAD_REQUEST)
