"""Where links lead that people share: below the project's own address, the deployment's, or the gateway's."""

from collections.abc import Iterator

import pytest

from chalicelib.flows.create_project import CreatedProject
from tests.support import aws
from tests.support.client import Client

PUBLIC = "GROWTHOS_PUBLIC_URL"


@pytest.fixture
def nameless(engine: str) -> Iterator[None]:
    """A deployment whose owner has given it no address."""
    aws.use(**{PUBLIC: ""})
    yield
    aws.use(**{PUBLIC: "https://mail.acme.test"})


def shared(client: Client) -> str:
    contact = client.post("/v1/contacts", {"email": "a@x.io"}).json["id"]
    program = client.post("/v1/referrals/programs", {"name": "P"}).json["id"]
    link = client.post("/v1/referrals/links", {"program_id": program, "contact_id": contact}).json
    assert client.get(f"/v1/referrals/links/{link['code']}").json["url"] == link["url"]
    return str(link["url"]).removesuffix(link["code"])


def test_links_are_below_the_project_s_own_address(client: Client) -> None:
    client.patch("/v1/settings", {"referral_base_url": "https://acme.test/r/"})
    assert shared(client) == "https://acme.test/r/"


def test_without_one_they_are_below_the_deployment_s(client: Client) -> None:
    assert shared(client) == "https://mail.acme.test/r/"


@pytest.mark.usefixtures("nameless")
def test_without_that_they_are_where_the_gateway_is(project: CreatedProject) -> None:
    client = Client(project.secret_key, stage="/api", domain="abc.execute-api.test")
    assert shared(client) == "https://abc.execute-api.test/api/r/"
