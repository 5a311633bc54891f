"""Who asks for the pictures and links of mails, and follows links that people share: people, or machines. Pure."""

import re

_ROBOTS = re.compile(
    "|".join(
        [
            # Proxies that fetch pictures before, or without, a person looking at them.
            r"googleimageproxy",  # Gmail: via ggpht.com GoogleImageProxy
            r"yahoomailproxy",  # Yahoo Mail
            # Scanners of links in mail gateways.
            r"barracuda",
            r"mimecast",
            r"proofpoint|urldefense",
            r"safelinks|microsoft office existence discovery|ms-office scanner|atp-scanner",
            r"symantec|messagelabs|broadcom-scan",
            r"trendmicro|trend micro",
            r"sophos",
            r"fireeye|trellix",
            r"forcepoint|websense",
            r"cisco-ironport|ironport",
            r"bitdefender",
            r"zscaler",
            r"cloudmark",
            r"virustotal|urlscan|phishtank|safebrowsing|google-safety",
            # Whatever says of itself that it is a robot, or previews links in chats.
            # Cubot makes telephones.
            r"(?:^|[^a-z])(?!cubot)(?:[a-z0-9_-]*bot|[a-z0-9_-]*spider|[a-z0-9_-]*crawler|slurp)(?:[^a-z]|$)",
            r"facebookexternalhit|whatsapp/|skypeuripreview|embedly|linkpreview|link preview",
        ]
    ),
    re.IGNORECASE,
)

_PROGRAMS = re.compile(
    "|".join(
        [
            r"^mozilla/5\.0$",  # Apple's Mail Privacy Protection sends this and no more, and so do programs
            r"headlesschrome|phantomjs|puppeteer|playwright",
            r"^(?:curl|wget|python|go-http-client|java|okhttp|axios|node|ruby|perl|libwww|httpclient|aiohttp|http_?request)"
            r"[/ _-]",
            r"python-requests|python-urllib|apache-httpclient",
        ]
    ),
    re.IGNORECASE,
)
"""Browsers without a person before them, and the libraries of programs."""


_LOOKED_AT = 512
"""Characters: longer ones say nothing more, and would take long to look through."""


def is_robot(user_agent: str | None) -> bool:
    """True for known scanners, proxies, previews, and robots that say so."""
    return _ROBOTS.search(_looked_at(user_agent)) is not None


def is_machine(user_agent: str | None) -> bool:
    """True for these, for programs, and for whoever does not say what it is."""
    agent = _looked_at(user_agent)
    return not agent or is_robot(agent) or _PROGRAMS.search(agent) is not None


def _looked_at(user_agent: str | None) -> str:
    return (user_agent or "").strip()[:_LOOKED_AT]
