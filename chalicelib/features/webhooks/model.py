"""Endpoints, deliveries and attempts. Pure; moments are milliseconds on the project's clock."""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from chalicelib.core import clock, events, ids

MAX_ENDPOINTS = 50
KEPT = 30 * clock.DAY
"""How long logs, and what they can replay, are kept."""

SECRET_LASTS = 24 * clock.HOUR
"""How long a secret signs beside the one that has replaced it."""

FORMER_SECRETS_MAX = 4
FAILING_MAX = 5 * clock.DAY
"""How long an endpoint may fail at each attempt before it is disabled."""

SLOW = 5_000
"""Real milliseconds of an attempt after which its endpoint counts as slow."""

LANES = 4
"""How many deliveries to one endpoint are in flight at the most."""

EndpointStatus = Literal["enabled", "disabled"]
DisabledReason = Literal["gone", "failing", "by_request"]
LogStatus = Literal["delivered", "failed", "skipped"]
STATUSES: tuple[LogStatus, ...] = get_args(LogStatus)

GONE = 410
"""The status by which a receiver says that it wants nothing more."""

CONTACT_DELETED = "contact_deleted"
EXPIRED = "expired"
ENDPOINT_DISABLED = "endpoint_disabled"
"""Why an attempt was skipped."""

_ATTEMPTS_MAX = 100
_ALL = "*"
_ANY_OF = ".*"


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing secret as it is kept, sealed; a former one has an end."""

    sealed: bytes
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where webhooks go. `secrets` has the newest first.

    `failing_since` is the first failure after which nothing was delivered, and `failing_id` its log; `is_slow` tells of
    the last attempt.
    """

    id: str
    url: str
    events: tuple[str, ...]
    secrets: tuple[Secret, ...]
    created_at: int
    updated_at: int
    status: EndpointStatus = "enabled"
    disabled_at: int | None = None
    disabled_reason: DisabledReason | None = None
    failing_since: int | None = None
    failing_id: str | None = None
    is_slow: bool = False
    version: int = 1

    def wants(self, event: str, event_id: str, created_at: int) -> bool:
        """True where it is there longer than the event, asked for its name, and was not disabled a month before it.

        Ids tell the order of receipt, on a test project's standing clock too.
        """
        is_older = ids.ulid_of(self.id) < ids.ulid_of(event_id)
        is_given_up = self.disabled_at is not None and created_at - self.disabled_at > KEPT
        return is_older and not is_given_up and any(matches(pattern, event) for pattern in self.events)

    def signing(self, now: int) -> list[bytes]:
        """The sealed secrets that sign at `now`, the newest first."""
        return [secret.sealed for secret in self.secrets if secret.expires_at is None or now < secret.expires_at]

    def rotated(self, sealed: bytes, now: int) -> "Endpoint":
        """The endpoint with a new secret, beside which the one before signs for SECRET_LASTS."""
        former = [
            replace(secret, expires_at=now + SECRET_LASTS) if secret.expires_at is None else secret
            for secret in self.secrets
            if secret.expires_at is None or now < secret.expires_at
        ]
        return replace(self, secrets=(Secret(sealed), *former), updated_at=now)

    def enabled(self) -> "Endpoint":
        """The endpoint with all forgotten that it was disabled for."""
        return replace(
            self,
            status="enabled",
            disabled_at=None,
            disabled_reason=None,
            failing_since=None,
            failing_id=None,
            is_slow=False,
        )

    def disabled(self, reason: DisabledReason, now: int) -> "Endpoint":
        return replace(self, status="disabled", disabled_at=now, disabled_reason=reason)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One attempt that is to be made. `contact_id` tells with whose rows what it says is kept.

    Runs are counted from 0, each replay being the next one, and attempts from 1 in each run. `replay` names the request
    for all that failed which began the run, and is None where one webhook was asked for. `created_at` is the event's.
    """

    endpoint_id: str
    event_id: str
    event: str
    created_at: int
    contact_id: str | None = None
    run: int = 0
    attempt: int = 1
    replay: str | None = None
    is_test: bool = False

    @property
    def step(self) -> int:
        """Where this attempt stands among all of its delivery."""
        return self.run * _ATTEMPTS_MAX + self.attempt

    @property
    def next_run(self) -> int:
        """The step by which a replay takes over from this attempt's run."""
        return (self.run + 1) * _ATTEMPTS_MAX + 1

    @property
    def lane(self) -> str:
        """What this delivery and others of its endpoint queue up in; those of one lane wait for each other."""
        return f"{self.endpoint_id}#{sum(self.event_id.encode()) % LANES}"

    @property
    def mark(self) -> str:
        """Names this attempt among all of the project."""
        return f"{self.endpoint_id}#{self.event_id}#{self.run}#{self.attempt}"

    def to_wire(self) -> dict[str, Any]:
        """As it travels on the queue: what its constructor takes."""
        return {name: getattr(self, name) for name in self.__slots__}

    def following(self) -> "Parcel":
        """The attempt after this one."""
        return replace(self, attempt=self.attempt + 1)

    def again(self, replay: str | None = None) -> "Parcel":
        """The first attempt of a replay."""
        return replace(self, run=self.run + 1, attempt=1, replay=replay)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt came to, for the log. `took_ms` is real time; `error` is a word for programs.

    One that was skipped was due and not made, and `error` says why. `next_at` is when the next one is due, if any is;
    `url` is where it went.
    """

    id: str
    parcel: Parcel
    status: LogStatus
    attempted_at: int
    http_status: int | None = None
    next_at: int | None = None
    took_ms: int | None = None
    error: str | None = None
    response_body: str | None = None
    url: str | None = None

    @property
    def is_final(self) -> bool:
        """True where nothing is left to be sent: it was delivered, or what it would say is gone."""
        return self.status == "delivered" or self.error in (CONTACT_DELETED, EXPIRED)


def matches(pattern: str, event: str) -> bool:
    """True where the pattern is the event's name, `*`, or names a group of events as `referral.*` does."""
    if pattern.endswith(_ANY_OF):
        return event.startswith(pattern.removesuffix(_ALL))
    return pattern == _ALL or events.WEBHOOK_ALIASES.get(pattern, pattern) == event
