"""Short ways to the referral endpoints, over the API."""

from tests.support.client import Client, Response

PROGRAMS = "/v1/referrals/programs"
LINKS = "/v1/referrals/links"
CONVERSIONS = "/v1/referrals/conversions"
REWARDS = "/v1/referrals/rewards"
BOARD = "/v1/referrals/leaderboard"


def made(answer: Response, name: str = "id") -> str:
    """The id of what was made."""
    assert answer.status == 201, answer.text
    return str(answer.json[name])


def contact(client: Client, user: str = "alice") -> str:
    return made(client.post("/v1/contacts", {"external_id": user, "email": f"{user}@example.com"}))


def code_of(client: Client, program: str) -> str:
    return made(client.post(LINKS, {"program_id": program, "contact_id": contact(client)}), "code")
