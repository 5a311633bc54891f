"""Idempotent answers: the row that remembers an answer is written in the transaction of the act itself.

So there is no moment at which the act is done and its answer unknown. The row holds the answer under a key that
derives from the caller's API key and the Idempotency-Key; neither is stored, and the row's name is a hash of both.
"""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core import clock, strict_json
from chalicelib.core.errors import Conflict
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.secrets import hkdf, seal, unseal
from chalicelib.platform.table import ConditionFailed, Op, Put, attr

WINDOW = clock.DAY
"""Milliseconds for which an answer is remembered."""

_AMENDED_WITHIN_S = 8.0
_LOOK_EACH_S = 0.2


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The first answer to an idempotent call."""

    status: int
    body: Any


class Replay(Exception):
    """Another call with the same key has acted already; its answer is to be given instead."""

    def __init__(self, answer: StoredAnswer) -> None:
        super().__init__("answered before")
        self.answer = answer


class Receipt:
    """What one call carries down to the transaction that it ends in."""

    def __init__(
        self, tenant: Tenant, now: int, *, secret: str = "", idempotency_key: str = "", request: bytes = b""
    ) -> None:
        """`secret` is the caller's API key, `request` the method, path and body that the answer is bound to."""
        self._tenant = tenant
        self._now = now
        self._material = f"{len(secret)}:{secret}{idempotency_key}".encode() if idempotency_key else b""
        self._fingerprint = hashlib.sha256(request).hexdigest()

    def recall(self) -> StoredAnswer | None:
        """The answer given before. Raises Conflict where the key came with another request.

        Where the first call has acted and still works on its answer, it is waited for, as long as that grows.
        """
        if not self._material:
            return None
        seen, given_up = b"", 0.0
        while True:
            item = table.get(self._row().key)
            if item is None or item["expires_at"] <= self._now:
                return None
            if item["sealed"] != seen:
                seen, given_up = item["sealed"], clock.monotonic() + _AMENDED_WITHIN_S
            if item["is_final"] or clock.monotonic() > given_up:
                return self._open(item["sealed"])
            clock.sleep(_LOOK_EACH_S)

    def amend(self, status: int, answer: Mapping[str, Any]) -> None:
        """Put the answer that the caller is given in the place of one that was not final."""
        if self._material:
            row = self._sealed(status, answer, outlives_clock=False, is_final=True)
            table.write(Put(row.key, row.attrs, attr("is_final").eq(False)))

    def commit_more(self, ops: Sequence[Op], status: int, answer: Mapping[str, Any], *, is_final: bool) -> None:
        """Act once more, and put the answer in the place of one that was not final, in one transaction.

        Raises ConditionFailed where one of the operations was refused.
        """
        if not self._material:
            table.transact(ops)
            return
        row = self._sealed(status, answer, outlives_clock=False, is_final=is_final)
        table.transact([*ops, Put(row.key, row.attrs, attr("is_final").eq(False))])

    def commit(
        self,
        ops: Sequence[Op],
        status: int,
        answer: Mapping[str, Any],
        *,
        outlives_clock: bool = False,
        is_final: bool = True,
    ) -> None:
        """Act and remember the answer, in one transaction; without operations, remember what was done.

        `outlives_clock` is for the act that moves the clock on which the window is counted: its answer is remembered
        until the row's time to live, on the real clock, ends it. One that is not final is amended within seconds; it
        stands where that is not to be.

        Raises Replay where the same call has acted meanwhile, Conflict where another request took the key, and
        ConditionFailed (positions are those of `ops`) where one of the operations was refused.
        """
        if not self._material:
            if ops:
                table.transact(ops)
            return
        try:
            sealed = self._sealed(status, answer, outlives_clock=outlives_clock, is_final=is_final)
            table.transact([*ops, sealed])
        except ConditionFailed:
            before = self.recall()
            if before is not None:
                raise Replay(before) from None
            raise

    def _row(self) -> Put:
        digest = hashlib.sha256(b"idempotency" + self._material).hexdigest()
        free = attr("PK").not_exists() | attr("expires_at").lte(self._now)
        return Put(self._tenant.idempotent_answer(digest), {}, free)

    def _sealed(self, status: int, answer: Mapping[str, Any], *, outlives_clock: bool, is_final: bool) -> Put:
        row = self._row()
        plain = strict_json.dumps({"request": self._fingerprint, "status": status, "body": answer}).encode()
        attrs = {
            # An answer may have hundreds of rows, and an item has its bounds.
            "sealed": seal(self._key(), zlib.compress(plain), row.key.pk),
            "is_final": is_final,
            "expires_at": clock.LAST_MOMENT if outlives_clock else self._now + WINDOW,
            "ttl": table.ttl(self._tenant, WINDOW),
        }
        return Put(row.key, attrs, row.condition)

    def _open(self, sealed: bytes) -> StoredAnswer:
        stored = strict_json.loads(zlib.decompress(unseal(self._key(), sealed, self._row().key.pk)))
        if stored["request"] != self._fingerprint:
            raise Conflict("This Idempotency-Key was used with another request.")
        return StoredAnswer(stored["status"], stored["body"])

    def _key(self) -> bytes:
        return hkdf(self._material, "idempotency")
