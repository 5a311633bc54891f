"""Mails a second of one worker, beside a loop that gives the same mail to the mail service and does nothing else."""

from dataclasses import dataclass
from typing import Any

from chalicelib.core import clock, ids, strict_json
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.model import Campaign, Cause, Run, Step, Trigger
from chalicelib.features.campaigns.service import Due
from chalicelib.platform import aws, mail, table
from chalicelib.workers import mails as worker
from tests.bench.beside import rates_beside, seconds
from tests.bench.budgets import Finding, counted
from tests.bench.cpu import recorded, replayed
from tests.bench.world import World
from tests.support import pipeline

LEAST = 0.5
_MAILS = 100
_ACCOUNT_RATE = 10_000.0
_HTML = (
    "<h1>Hi {{ contact.name | default: 'there' }}</h1>"
    + "<p>{{ event.plan }} is more than words can say, and this is why we say it here at some length.</p>" * 20
    + "".join(f"<p><a href='https://acme.test/{n}?user={{{{ contact.id }}}}'>Read on</a></p>" for n in range(5))
)


@dataclass(slots=True)
class Sequence:
    """A campaign, and how many of the world's contacts were made due in it."""

    campaign: Campaign
    used: int = 0


def findings(world: World) -> list[Finding]:
    """How fast one worker is; the account's own rate does not hold it back."""
    sequence = prepared(world)
    mail._known[:] = [(clock.monotonic(), _ACCOUNT_RATE)]
    first = _due(world, sequence, 1)
    mail._leased.clear()
    with recorded() as answers:
        _work(first)
    again = first * _MAILS
    raw = _raw(world, sequence)

    def stubbed() -> None:
        with replayed(answers):
            _work(again)

    share, told = rates_beside(lambda: _bare(raw), stubbed, _MAILS, "mails/s, the table stubbed")
    whole = _due(world, sequence, _MAILS)
    engine = _MAILS / seconds(lambda: _work(whole))
    return [
        Finding("mails beside a bare SES loop", f"{LEAST} of its calls/s", told, share >= LEAST),
        Finding("the same with the local engine", "-", f"{engine:.0f} mails/s", None),
    ]


def calls(world: World) -> list[Finding]:
    """The calls to the table of one step, turns in the account's rate in hand."""
    sequence = prepared(world)
    _work(_due(world, sequence, 1))
    records = _due(world, sequence, 1)
    mail._leased[:] = [clock.system_ms()] * 5
    with counted() as found:
        _work(records)
    return [Finding("campaign step", "4 table calls around the send", str(dict(found)), found.total() <= 4)]


def prepared(world: World) -> Sequence:
    """A sequence of two steps that is active, written as its definition's own way would leave it."""
    now = clock.system_ms()
    world.client.patch("/v1/settings", {"default_from_email": "hello@acme.test"})
    made = world.client.post("/v1/templates", {"name": "T", "subject": "Hi {{ contact.name }}", "html": _HTML}).json
    steps = (Step("a", 0, made["id"]), Step("b", 2 * clock.DAY, made["id"]))
    campaign = Campaign(
        id=ids.new_id("cmpgn"),
        name="Bench",
        type="lifecycle",
        status="active",
        steps=steps,
        created_at=now,
        updated_at=now,
        trigger=Trigger(event="signed_up"),
        activated_at=now,
        since=ids.new_ulid(),
    )
    table.transact(campaigns.creation(world.tenant, campaign))
    return Sequence(campaign)


def _due(world: World, sequence: Sequence, number: int) -> list[dict[str, Any]]:
    """Messages for as many contacts that are new in the sequence; they get addresses first."""
    records = []
    now = clock.system_ms()
    for _ in range(number):
        contact = world.contact_ids[sequence.used]
        sequence.used += 1
        world.client.patch(f"/v1/contacts/{contact}", {"traits": {"email": f"{contact}@example.com", "name": "Ada"}})
        cause = Cause(ids.new_id("evt"), now, "signed_up", {"plan": "growth"})
        run = Run(ids.new_ulid(), contact, sequence.campaign.id, cause, now, now, now)
        table.transact([campaigns.save_run(world.tenant, run)])
        due = Due(contact, sequence.campaign.id, run.id)
        wire = {name: getattr(due, name) for name in due.__slots__}
        wire |= {"project": world.tenant.project_id, "kind": "Due"}
        records.append({"messageId": "m", "body": strict_json.dumps(wire)})
    return records


def _work(records: list[dict[str, Any]]) -> None:
    for record in records:
        assert worker.handle({"Records": [record]}, pipeline.Context()) == {"batchItemFailures": []}


def _raw(world: World, sequence: Sequence) -> bytes:
    """A mail of the sequence, as it was given to the mail service."""
    taken: list[bytes] = []

    def note(params: Any, **_: Any) -> None:
        taken.append(params["RawMessage"]["Data"])

    client = aws.ses()
    client.meta.events.register_first("provide-client-params.ses.SendRawEmail", note, unique_id="bench")
    _work(_due(world, sequence, 1))
    client.meta.events.unregister("provide-client-params.ses.SendRawEmail", note, unique_id="bench")
    (raw,) = taken
    return raw


def _bare(raw: bytes) -> None:
    client = aws.ses()
    for _ in range(_MAILS):
        client.send_raw_email(
            Source="hello@acme.test",
            Destinations=["ada@example.com"],
            RawMessage={"Data": raw},
            Tags=[{"Name": "growthos_message", "Value": "proj_1-cntct_1-msg_1"}],
        )
