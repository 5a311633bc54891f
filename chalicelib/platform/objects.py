"""The bucket: objects that are written once under a name and never changed."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chalicelib.core import clock
from chalicelib.core.errors import Unavailable
from chalicelib.platform import aws
from chalicelib.platform.config import settings

_AT_ONCE = 16
_TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_GONE = frozenset({"NoSuchKey", "404"})
_DELETED_AT_ONCE = 1_000


class ObjectGone(Exception):
    """An object is not there, or not any more; the message is its key."""


def put(key: str, source: Path) -> None:
    """Write the file as the object of that key; where there is one already, it stays. Raises Unavailable."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        with source.open("rb") as body:
            aws.s3().put_object(Bucket=settings().bucket, Key=key, Body=body, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] not in _TAKEN:
            raise Unavailable from error
    except BotoCoreError as error:
        raise Unavailable from error


def fetch(files: Mapping[str, Path]) -> None:
    """Download the objects of these keys to these files, some at once; a file that is there is whole.

    Raises ObjectGone where one is not there, Unavailable where one can't be had for the time being.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(_fetch_one, files.keys(), files.values()))


def _fetch_one(key: str, target: Path) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    part = target.with_name(f"{target.name}.part")
    try:
        body = aws.s3().get_object(Bucket=settings().bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            raise ObjectGone(key) from error
        raise Unavailable from error
    except BotoCoreError as error:
        raise Unavailable from error
    part.write_bytes(body)
    part.replace(target)


def is_there(key: str) -> bool:
    """True where there is an object of that key. Raises Unavailable."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        aws.s3().head_object(Bucket=settings().bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return False
        raise Unavailable from error
    except BotoCoreError as error:
        raise Unavailable from error
    return True


def older(prefix: str, moment: int) -> list[str]:
    """The keys that begin so, of objects that were written before that moment, in ms. Raises Unavailable."""
    from botocore.exceptions import BotoCoreError, ClientError

    found: list[str] = []
    after: dict[str, str] = {}
    try:
        while True:
            page = aws.s3().list_objects_v2(Bucket=settings().bucket, Prefix=prefix, **after)  # type: ignore[arg-type]
            contents = page.get("Contents", [])
            found += [each["Key"] for each in contents if each["LastModified"].timestamp() * clock.SECOND < moment]
            if not (token := page.get("NextContinuationToken")):
                return found
            after = {"ContinuationToken": token}
    except (BotoCoreError, ClientError) as error:
        raise Unavailable from error


def delete(keys: Iterable[str]) -> None:
    """Remove the objects; those that are not there are passed over. Raises Unavailable."""
    from botocore.exceptions import BotoCoreError, ClientError

    left = list(keys)
    try:
        for start in range(0, len(left), _DELETED_AT_ONCE):
            some = left[start : start + _DELETED_AT_ONCE]
            aws.s3().delete_objects(Bucket=settings().bucket, Delete={"Objects": [{"Key": key} for key in some]})
    except (BotoCoreError, ClientError) as error:
        raise Unavailable from error
