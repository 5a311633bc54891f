"""One instance of the API in a process of its own: calls the app with the events of a gateway, as Lambda would.

Given a key, it makes one call, as an instance that is not new has, and says `ready` on standard error. Then it reads a
plan from standard input, `{"path", "calls": [moment, …]}`: each call is due at its moment (seconds since the epoch) in
a thread of its own. Then it says what became of each, on standard error too: `{"due", "began", "ended", "status",
"retry_after"}`, let pass or refused somewhere between the moments in the middle.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support.client import Client


def main() -> None:
    client = Client(sys.argv[1])
    client.get("/v1/settings")
    sys.stderr.write("ready\n")
    sys.stderr.flush()
    plan = json.load(sys.stdin)

    def call(moment: float) -> dict[str, Any]:
        time.sleep(max(0.0, moment - time.time()))
        began = time.time()
        answer = client.get(plan["path"])
        retry_after = answer.headers.get("retry-after")
        return {
            "due": moment,
            "began": began,
            "ended": time.time(),
            "status": answer.status,
            "retry_after": retry_after,
        }

    with ThreadPoolExecutor(len(plan["calls"])) as pool:
        answers = list(pool.map(call, plan["calls"]))
    sys.stderr.write(json.dumps(answers))


if __name__ == "__main__":
    main()
