"""Keys that derive from the one deployment secret, and what is sealed under a key."""

import os
from functools import cache

from chalicelib.core.errors import Unavailable
from chalicelib.platform.aws import is_busy, secretsmanager
from chalicelib.platform.config import settings

_NONCE_BYTES = 12


class SealBroken(Exception):
    """What is sealed was sealed under another key, or for another row."""


def hkdf(material: bytes, purpose: str) -> bytes:
    """32 bytes from secret material by HKDF-SHA256 (RFC 5869); `purpose` separates the uses of one secret."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"growthos/{purpose}".encode()).derive(material)


@cache
def derive(purpose: str) -> bytes:
    """The deployment's 32-byte key for one purpose; read once in the life of the process. Raises Unavailable."""
    return hkdf(_deployment_secret(), purpose)


def seal(key: bytes, plain: bytes, bound_to: str) -> bytes:
    """The text encrypted by AES-GCM, its nonce before it; it opens under the same key and for the same row only."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to.encode())


def unseal(key: bytes, sealed: bytes, bound_to: str) -> bytes:
    """What was sealed. Raises SealBroken for another key, another row or a changed byte."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to.encode())
    except InvalidTag:
        raise SealBroken from None


@cache
def _deployment_secret() -> bytes:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return secretsmanager().get_secret_value(SecretId=settings().secret_arn)["SecretString"].encode()
    except BotoCoreError as error:
        raise Unavailable from error
    except ClientError as error:
        if is_busy(error):
            raise Unavailable from error
        raise
