"""Segment's published client for Node, unmodified but for its host, against the local stack; where there is Node."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import Stack

pytestmark = [
    pytest.mark.prove,
    pytest.mark.e2e,
    pytest.mark.xdist_group("stack"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="this machine has no Node"),
]

CLIENT = "@segment/analytics-node@3.1.0"
USERS = 4
STEPS = 40

SCRIPT = """
const { Analytics } = require('@segment/analytics-node');
const [host, writeKey, users, steps] = process.argv.slice(2);
const analytics = new Analytics({ writeKey, host, flushAt: 20 });
analytics.on('error', (error) => { console.error(error); process.exitCode = 1; });
for (let user = 0; user < users; user++) {
  const userId = `node-${user}`;
  analytics.identify({ userId, traits: { email: `${userId}@example.com`, plan: 'growth' } });
  analytics.page({ userId, name: 'Pricing', properties: { url: 'https://example.com/pricing' } });
  analytics.group({ userId, groupId: 'acme', traits: { name: 'Acme' } });
}
for (let step = 0; step < steps; step++) {
  for (let user = 0; user < users; user++) {
    analytics.track({ userId: `node-${user}`, event: 'Stepped', properties: { step } });
  }
}
analytics.closeAndFlush();
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client installed and the script that uses it."""
    folder = tmp_path_factory.mktemp("node")
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", CLIENT], cwd=folder, check=True, capture_output=True)
    (folder / "send.js").write_text(SCRIPT)
    return folder


def test_every_event_of_the_node_client_arrives_once_under_its_contact(stack: Stack, client: Path) -> None:
    subprocess.run(
        ["node", "send.js", stack.base_url, stack.write_key, str(USERS), str(STEPS)],
        cwd=client,
        env=dict(os.environ),
        check=True,
        timeout=60,
    )
    stack.await_settled()
    for user in range(USERS):
        contacts = stack.get("/v1/contacts", external_id=f"node-{user}").body["data"]
        assert [contact["email"] for contact in contacts] == [f"node-{user}@example.com"]
        told = timeline(stack, contacts[0]["id"])
        assert sorted(event["type"] for event in told if event["event"] != "Stepped") == ["group", "identify", "page"]
        steps = [event["properties"]["step"] for event in told if event["event"] == "Stepped"]
        assert sorted(steps) == list(range(STEPS))


def timeline(stack: Stack, contact_id: str) -> list[dict[str, Any]]:
    """All events of a contact."""
    answer = stack.get(f"/v1/contacts/{contact_id}/events", limit=100)
    assert not answer.body["has_more"]
    return list(answer.body["data"])
