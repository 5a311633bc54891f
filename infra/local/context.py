"""What Lambda hands a function beside the event."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field

from infra.local.engine import REGION

ACCOUNT = "000000000000"


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """The context object of one invocation, with the attributes that Lambda documents."""

    function_name: str
    timeout_s: float
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 512
    log_stream_name: str = "local"
    identity: None = None
    client_context: None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        """The function's name as AWS writes it."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        """Where Lambda would put the function's logs."""
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would stop the invocation; 0 when they have passed."""
        return max(0, int((self.timeout_s - (time.monotonic() - self.started)) * 1000))
