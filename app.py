"""Composition: the routes, the middleware, and the functions that queues, the stream and operators call.

Every function of the deployment loads this file and runs one part of it, so each part is imported where it is used.
Queue and stream are placeholders, which the infrastructure template replaces.
"""

import os
from typing import Any

from chalice.app import Chalice, CloudWatchEvent, DynamoDBEvent, SQSEvent

_RUNS_ALL = "app.app"

# Its own logging would write each line of `platform.observability` a second time: both use the logger of that name.
app = Chalice(app_name="growthos", configure_logs=False)

# The picture that mails end with is text: what the gateway knows as binary it unpacks only for some Accept headers.
app.api.binary_types.remove("image/gif")

# Lambda says in _HANDLER which function this is: the workers start without the routes and their models.
if os.environ.get("_HANDLER", _RUNS_ALL) == _RUNS_ALL:
    from chalicelib.api import blueprints
    from chalicelib.edge.middleware import around_http

    app.register_middleware(around_http, "http")
    for blueprint in blueprints():
        app.register_blueprint(blueprint)


@app.on_sqs_message(queue_arn="ingest", batch_size=10, name="ingest")
def ingest(event: SQSEvent) -> dict[str, Any]:
    """Record what the Ingest API queued."""
    from chalicelib.workers import ingest as worker

    return worker.handle(event.to_dict(), event.context)


@app.on_dynamodb_record(stream_arn="bus", batch_size=100, starting_position="TRIM_HORIZON", name="bus")
def bus(event: DynamoDBEvent) -> dict[str, Any]:
    """Run the flows of what changed in the table."""
    from chalicelib.workers import bus as worker

    return worker.handle(event.to_dict(), event.context)


@app.on_sqs_message(queue_arn="bus", batch_size=10, name="bus_retry")
def bus_retry(event: SQSEvent) -> dict[str, Any]:
    """Run the flows again of what the bus gave up on."""
    from chalicelib.workers import bus as worker

    return worker.handle_retry(event.to_dict(), event.context)


@app.on_sqs_message(queue_arn="jobs", batch_size=1, name="jobs")
def jobs(event: SQSEvent) -> dict[str, Any]:
    """Run one page of a job."""
    from chalicelib.workers import jobs as worker

    return worker.handle(event.to_dict(), event.context)


@app.on_sqs_message(queue_arn="timers", batch_size=10, name="timers")
def timers(event: SQSEvent) -> dict[str, Any]:
    """Fire what has fallen due."""
    from chalicelib.workers import timers as worker

    return worker.handle(event.to_dict(), event.context)


@app.on_sqs_message(queue_arn="webhooks", batch_size=1, name="webhooks")
def webhooks(event: SQSEvent) -> dict[str, Any]:
    """Make one attempt to deliver a webhook."""
    from chalicelib.workers import webhooks as worker

    return worker.handle(event.to_dict(), event.context)


@app.on_sqs_message(queue_arn="webhooks_slow", batch_size=1, name="webhooks_slow")
def webhooks_slow(event: SQSEvent) -> dict[str, Any]:
    """The same for endpoints that are slow."""
    from chalicelib.workers import webhooks as worker

    return worker.handle(event.to_dict(), event.context)


@app.on_sqs_message(queue_arn="mails", batch_size=10, name="mails")
def mails(event: SQSEvent) -> dict[str, Any]:
    """Do what is due in campaigns."""
    from chalicelib.workers import mails as worker

    return worker.handle(event.to_dict(), event.context)


@app.on_sqs_message(queue_arn="feedback", batch_size=10, name="feedback")
def feedback(event: SQSEvent) -> dict[str, Any]:
    """Take note of what the mail service tells of mails."""
    from chalicelib.workers import feedback as worker

    return worker.handle(event.to_dict(), event.context)


@app.schedule("rate(1 minute)", name="minute")
def minute(event: CloudWatchEvent) -> None:
    """Queue what falls due in the next minutes."""
    from chalicelib.workers import minute as worker

    worker.handle(event.context)


@app.on_dynamodb_record(stream_arn="projector", batch_size=1000, starting_position="TRIM_HORIZON", name="projector")
def projector(event: DynamoDBEvent) -> dict[str, Any]:
    """Write what changed in the table into the lake."""
    from chalicelib.workers import projector as worker

    return worker.handle(event.to_dict(), event.context)


@app.on_sqs_message(queue_arn="lake", batch_size=1, name="lake")
def lake(event: SQSEvent) -> dict[str, Any]:
    """Compact a project's lake, or write it anew."""
    from chalicelib.workers import lake as worker

    return worker.handle(event.to_dict(), event.context)


@app.schedule("rate(1 hour)", name="compact")
def compact(event: CloudWatchEvent) -> None:
    """Ask for the compaction of what was projected lately."""
    from chalicelib.workers import lake as worker

    worker.handle_schedule(event.context)


@app.lambda_function(name="analytics")
def analytics(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a question of analytics. The API calls it."""
    from chalicelib.workers import analytics as worker

    return worker.handle(event)


@app.lambda_function(name="rebuild_analytics")
def rebuild_analytics(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Have a project's lake written anew. Only IAM lets anyone call it."""
    from chalicelib.workers import lake as worker

    return worker.handle_rebuild(event)


@app.lambda_function(name="create_project")
def create_project(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Make a project. Only IAM lets anyone call it."""
    from chalicelib.workers import create_project as worker

    return worker.handle(event)
