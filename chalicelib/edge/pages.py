"""Small pages for people who follow a link of a mail: no script, nothing from elsewhere, one column."""

from html import escape

from chalicelib.edge.call import Reply

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:32rem;margin:3rem auto;"
    "padding:0 1rem}"
    "h1{font-size:1.5rem;line-height:1.25}"
    "button{font:inherit;padding:.75rem 1.5rem;border:0;border-radius:.5rem;background:#1a1a1a;color:#fff;"
    "cursor:pointer}"
    "button:focus-visible{outline:3px solid #0b57d0;outline-offset:2px}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
}


def page(title: str, text: str, *, button: str | None = None, status: int = 200) -> Reply:
    """A page that says `text`; its `button` posts to the very address of the page."""
    form = "" if button is None else f'<form method="post"><button type="submit">{escape(button)}</button></form>'
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p>{escape(text)}</p>{form}</main></body></html>"
    )
    return Reply(body, status=status, headers=_HEADERS)
