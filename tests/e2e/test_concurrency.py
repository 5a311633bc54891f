"""What only concurrency shows: rates over several processes, one act for one key, walks while others write."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.stack import ROOT, Answer, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

PROCESSES = 4
LIMIT = 10
"""Calls a second of a management key on plan free."""


def keys_of_new_project(stack: Stack, plan: str) -> tuple[str, str]:
    """The secret key and the write key of a live project of its own."""
    made = subprocess.run(
        [sys.executable, "-m", "infra.local", "create-project", "--name", "Own", "--mode", "live", "--plan", plan],
        cwd=ROOT,
        env=dict(os.environ) | {"GROWTHOS_HOME": str(stack.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    secret, write = (word for word in made.stdout.split() if word.startswith("gos_"))
    return secret, write


def free_key(stack: Stack) -> str:
    """The secret key of a new project on plan free."""
    return keys_of_new_project(stack, "free")[0]


def call_from_processes(stack: Stack, key: str, offsets: Sequence[float]) -> list[dict[str, Any]]:
    """Calls at so many seconds from their start, dealt out to four instances of the API that share only the table."""
    instances = [start_instance(stack, key) for _ in range(PROCESSES)]
    start = time.time() + 1.5  # by then their first calls count no more
    with ThreadPoolExecutor(PROCESSES) as pool:
        calls = [[start + offset for offset in offsets[n::PROCESSES]] for n in range(PROCESSES)]
        answers = pool.map(lambda pair: run_instance(*pair), zip(instances, calls, strict=True))
        return [answer for some in answers for answer in some]


def start_instance(stack: Stack, key: str) -> subprocess.Popen[str]:
    """An instance that has loaded the app, and knows the key."""
    instance = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.instance", key],
        cwd=ROOT,
        env=dict(os.environ) | stack.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert instance.stderr is not None
    assert instance.stderr.readline() == "ready\n"
    return instance


def run_instance(instance: subprocess.Popen[str], calls: Sequence[float]) -> list[dict[str, Any]]:
    _, told = instance.communicate(json.dumps({"path": "/v1/settings", "calls": calls}))
    return list(json.loads(told))


def most_within(calls: Sequence[dict[str, Any]], seconds: float) -> int:
    """The largest number of calls that certainly passed in one span of that length: begun and ended in it."""
    return max(
        len([call for call in calls if call["began"] >= first["began"] and call["ended"] < first["began"] + seconds])
        for first in calls
    )


@pytest.mark.alone
def test_200_calls_at_once_from_4_processes_stay_within_the_limit(stack: Stack) -> None:
    key = free_key(stack)
    answers = call_from_processes(stack, key, [0.0] * 200)
    assert Counter(answer["status"] for answer in answers).keys() == {200, 429}
    passed = [answer for answer in answers if answer["status"] == 200]
    assert len(passed) >= LIMIT
    assert most_within(passed, 1) <= 2 * LIMIT
    assert most_within(passed, 10) <= 11 * LIMIT
    assert {answer["retry_after"] for answer in answers if answer["status"] == 429} == {"1"}
    time.sleep(1)
    assert stack.request("GET", "/v1/settings", key=key).status == 200


@pytest.mark.alone
def test_a_steady_caller_at_90_percent_from_4_processes_is_never_refused(stack: Stack) -> None:
    for _ in range(3):
        answers = call_from_processes(stack, free_key(stack), [n / 9 for n in range(90)])
        # A machine that holds calls up for most of a second makes a burst of them: then nobody was steady.
        if max(answer["ended"] - answer["due"] for answer in answers) < 0.7:
            break
    assert Counter(answer["status"] for answer in answers) == {200: 90}


def test_one_idempotency_key_in_20_concurrent_posts_makes_one_contact(stack: Stack) -> None:
    body = json.dumps({"email": "once@example.com", "traits": {"plan": "trial"}}).encode()
    headers = {"Idempotency-Key": "concurrent-1"}
    ready = threading.Barrier(20)

    def post(_n: int) -> Answer:
        ready.wait()
        return stack.request("POST", "/v1/contacts", body, headers=headers)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(post, range(20)))
    assert {answer.status for answer in answers} == {201}
    assert len({json.dumps(answer.body) for answer in answers}) == 1
    assert sum(answer.headers.get("idempotency-replayed") == "true" for answer in answers) == 19
    assert len(stack.get("/v1/contacts", email="once@example.com").body["data"]) == 1


def identify(stack: Stack, users: Sequence[str], key: str) -> None:
    batch = [{"type": "identify", "userId": user, "traits": {"name": user}} for user in users]
    assert stack.post("/v1/batch", {"batch": batch}, key).status == 202


def walk(stack: Stack, key: str) -> list[dict[str, Any]]:
    """All pages; none but the last is short."""
    rows: list[dict[str, Any]] = []
    query: dict[str, str] = {}
    while True:
        page = stack.get("/v1/contacts", key, limit=50, **query).body
        rows += page["data"]
        if not page["has_more"]:
            return rows
        assert len(page["data"]) == 50
        query["cursor"] = page["next_cursor"]


def test_a_walk_over_1000_contacts_while_others_come_and_go_has_each_that_stood_once(stack: Stack) -> None:
    # In a project of their own, or the segments of later tests would be built of a thousand contacts more.
    secret_key, write_key = keys_of_new_project(stack, "scale")
    standing = {f"stays_{n}" for n in range(1000)}
    users = sorted(standing) + [f"goes_{n}" for n in range(60)]
    for start in range(0, len(users), 500):
        identify(stack, users[start : start + 500], write_key)
    stack.await_settled(120)
    doomed = [row["id"] for row in walk(stack, secret_key) if str(row["external_id"]).startswith("goes_")]
    assert len(doomed) == 60
    stop = threading.Event()

    def meddle() -> None:
        for n, contact_id in enumerate(doomed):
            if stop.is_set():
                return
            identify(stack, [f"comes_{n}"], write_key)
            assert stack.request("DELETE", f"/v1/contacts/{contact_id}", key=secret_key).status == 200

    with ThreadPoolExecutor(1) as pool:
        meddling = pool.submit(meddle)
        rows = walk(stack, secret_key)
        stop.set()
        meddling.result()
    seen = Counter(row["external_id"] for row in rows)
    assert {user: seen[user] for user in standing} == dict.fromkeys(standing, 1)
    assert max(seen.values()) == 1
