"""A certificate authority of the tests, and servers' certificates by it."""

import datetime
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chalicelib.platform import connections

_DAY = datetime.timedelta(days=1)


class Authority:
    """Writes to a folder, since `ssl` reads files only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("GrowthOS tests")
        self.file = folder / "authority.pem"
        signed = self._sign(self._name, self._key, [x509.BasicConstraints(ca=True, path_length=0), _usage(is_ca=True)])
        self.file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def server(self, host: str) -> ssl.SSLContext:
        """What a server shows whose certificate is for `host`, a name or an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        literal = host.replace(".", "").isdecimal()
        subject = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host)) if literal else x509.DNSName(host)])
        signed = self._sign(
            _name(host), key, [x509.BasicConstraints(ca=False, path_length=None), _usage(is_ca=False), subject]
        )
        file = self._folder / f"{host}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + signed.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extensions: Sequence[x509.ExtensionType]
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for each in extensions:
            builder = builder.add_extension(each, critical=not isinstance(each, x509.SubjectAlternativeName))
        return builder.sign(self._key, hashes.SHA256())


@contextmanager
def trusted(authority: Authority) -> Iterator[None]:
    """Webhooks trust it and nobody else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority.file))
        connections.tls_context.cache_clear()
        yield
    connections.tls_context.cache_clear()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )
