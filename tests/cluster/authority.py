"""The keys and certificates that a cluster's programs know each other by."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


class ClusterAuthority:
    """Signs certificates in a folder: each in `<name>.crt`, with its key in `<name>.key`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        self._key = self._new_key("ca")
        self._write("ca", self._name, self._key, is_authority=True)

    def sign(self, name: str, *, organization: str = "") -> None:
        """Make a certificate of that name, for this machine and for a client."""
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if organization:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        self._write(name, x509.Name(attributes), self._new_key(name), is_authority=False)

    def write_key_pair(self, name: str) -> None:
        """Make a key, and its public half in `<name>.pub`."""
        public = self._new_key(name).public_key()
        (self._folder / f"{name}.pub").write_bytes(
            public.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def _new_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        (self._folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        return key

    def _write(
        self, file: str, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool
    ) -> None:
        now = dt.datetime.now(dt.UTC)
        here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(here), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        (self._folder / f"{file}.crt").write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
        )
