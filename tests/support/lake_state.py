"""A small world of analytics whose answers are known, and its bucket: for tests of who dies between them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from chalicelib.core import clock
from chalicelib.core.clock import DAY, iso
from chalicelib.features.analytics.model import Filter, Path, Series, Span
from chalicelib.features.lake import service as lakes
from chalicelib.flows import create_project
from chalicelib.flows.analytics import answer, ask, compact
from chalicelib.platform import aws, duck, objects, table
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.readings.lake import disk, embedded
from chalicelib.workers import projector
from tests.support import aws as support
from tests.support import lake, pipeline
from tests.support.client import Client
from tests.support.pipeline import Context

SECRET = "nobody-else-says-this"


class World(NamedTuple):
    """Two projects; what the first one's answers have to be, and the stream's records of both."""

    client: Client
    tenant: Tenant
    other: Tenant
    records: list[dict[str, Any]]


@contextmanager
def made_world() -> Iterator[World]:
    """Five events of three people on three days, of whom two are one; one trait; another project with an event."""
    support.clear_table(settings().table)
    support.clear_queues()
    lake.forget()
    own, other = (create_project.run(name, "live", "scale", now=clock.system_ms()) for name in ("Acme", "Globex"))
    client = Client(own.secret_key)
    tenant = Tenant(own.project_id)
    happened(tenant, "ann", "seen", 0)
    happened(tenant, "ann", "seen", 1)
    happened(tenant, "ben", "seen", 1, note=SECRET)
    happened(tenant, "cyd", "seen", 2)
    happened(tenant, "cyd", "paid", 2)
    happened(Tenant(other.project_id), "ann", "seen", 0)
    pipeline.drain()
    ids = {row["external_id"]: row["id"] for row in client.get("/v1/contacts").json["data"]}
    client.patch(f"/v1/contacts/{ids['ann']}", {"traits": {"plan": "pro"}})
    assert client.post(f"/v1/contacts/{ids['ann']}/merge", {"source_contact_id": ids["cyd"]}).status == 200
    pipeline.drain()
    yield World(client, tenant, Tenant(other.project_id), pipeline.stream_records())
    lake.forget()


def happened(tenant: Tenant, user: str, event: str, ago: int, **properties: Any) -> None:
    now = clock.system_ms()
    raw = {"userId": user, "event": event, "timestamp": iso(now - ago * DAY), "properties": properties}
    pipeline.record(tenant, [pipeline.accepted(raw, "track", now)])


TRUTH = (5, 2, 4)
"""Events, contacts, and the events of who has the plan."""


def told(tenant: Tenant) -> tuple[int, int, int]:
    """What the answers tell."""
    answer.forget()
    now = clock.system_ms()
    span = Span(now - 10 * DAY, now + DAY, "UTC")
    pro = (Filter(Path("traits", "plan"), ("pro",)),)
    asked = (
        Series("event_count", None, "day", span),
        Series("unique_contacts", None, "day", span),
        Series("event_count", None, "day", span, pro),
    )
    counts = [ask.run(tenant, each, now)["total"] for each in asked]
    return counts[0], counts[1], counts[2]


def project_all(world: World, size: int = 1_000) -> None:
    for start in range(0, len(world.records), size):
        records = world.records[start : start + size]
        assert projector.handle({"Records": records}, Context()) == {"batchItemFailures": []}


def compacted(tenant: Tenant, *, sweeps: bool = False) -> None:
    while compact.run(tenant, clock.system_ms(), lambda: True, sweeps=sweeps):
        pass


def keys() -> set[str]:
    """The objects of the bucket."""
    found = aws.s3().list_objects_v2(Bucket=settings().bucket)
    return {each["Key"] for each in found.get("Contents", [])}


def needed(*tenants: Tenant) -> set[str]:
    """The objects that some manifest names."""
    found: set[str] = set()
    for tenant in tenants:
        manifest = lakes.manifest(tenant)
        stored = (*manifest.days.values(), manifest.people, manifest.edges)
        found |= {each.key for each in stored if each is not None}
    return found


def clear(rows: Any, made: World) -> None:
    """As before anything was projected."""
    support.put_back(settings().table, rows)
    for tenant in (made.tenant, made.other):
        for pk in (tenant.manifest().pk,):
            for row in table.query(pk).items:
                aws.dynamodb().delete_item(
                    TableName=settings().table, Key={"PK": {"S": row["PK"]}, "SK": {"S": row["SK"]}}
                )
    support.clear_bucket()
    embedded.forget()


class Projected(NamedTuple):
    """A state of table and bucket to begin from again."""

    rows: Any
    bucket: dict[str, bytes]


def kept() -> Projected:
    bodies = {key: aws.s3().get_object(Bucket=settings().bucket, Key=key)["Body"].read() for key in keys()}
    return Projected(support.rows_of(settings().table), bodies)


def put_back(state: Projected) -> None:
    support.put_back(settings().table, state.rows)
    support.clear_bucket()
    for key, body in state.bucket.items():
        aws.s3().put_object(Bucket=settings().bucket, Key=key, Body=body)
    embedded.forget()


def texts_of(tenant: Tenant) -> list[str]:
    """All that the bucket's objects say of the project's people: events and traits."""
    found: list[str] = []
    for key in sorted(keys()):
        local = disk.folder() / "looked-at"
        local.unlink(missing_ok=True)
        objects.fetch({key: local})
        column = "traits" if "people" in key or "edges" in key else "properties || event"
        with duck.connected(200) as engine:
            rows = engine.execute(
                f"SELECT {column} FROM {duck.from_parquet([local])} WHERE project_id = ?", [tenant.project_id]
            ).fetchall()
        found += [text for (text,) in rows if text is not None]
    return found
