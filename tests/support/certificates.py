"""A certificate authority of the tests, and what it signs."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Authority:
    """Signs certificates for 127.0.0.1; its own is in the file `ca.crt` of a folder."""

    def __init__(self, folder: Path, *, hours: float = 1, name: str = "test authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        own = self._builder(self._name, self._key, hours=hours).add_extension(
            constraints, critical=True
        )
        self.file = folder / "ca.crt"
        self.file.write_bytes(self._pem(own.sign(self._key, hashes.SHA256())))

    def certificate(self, *, days: float) -> bytes:
        """Sign a certificate of so many days for a key of nobody; PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
        builder = self._builder(name, key, hours=24 * days)
        return self._pem(builder.sign(self._key, hashes.SHA256()))

    def pair(self, name: str, *, hours: float = 1, host: str = "localhost") -> bytes:
        """Sign a certificate of so many hours for a host and 127.0.0.1, or for a client.

        PEM: the private key, the certificate and the authority's.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        places = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = self._builder(subject, key, hours=hours).add_extension(
            x509.SubjectAlternativeName(places), critical=False
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        own = self._pem(builder.sign(self._key, hashes.SHA256()))
        return private + own + self.file.read_bytes()

    def server_context(self) -> ssl.SSLContext:
        """Make a context for a server at 127.0.0.1."""
        file = self._folder / "server.pem"
        file.write_bytes(self.pair("receiver"))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, hours: float = 1
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=hours))
        )

    @staticmethod
    def _pem(certificate: x509.Certificate) -> bytes:
        return certificate.public_bytes(serialization.Encoding.PEM)
