"""TLS contexts that follow their files: the next connection has what is in them."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from consumer.errors import StartError
from consumer.settings import KafkaSettings

_Signature = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of a login, of which each may be missing."""

    ca: Path | None
    certificate: Path | None
    key: Path | None

    @classmethod
    def of(cls, settings: KafkaSettings) -> Self:
        """Give those that the settings name."""
        return cls(settings.kafka_ca_file, settings.kafka_cert_file, settings.kafka_key_file)

    def signature(self) -> _Signature:
        """Say what changes with the files."""
        return tuple(_stat(file) for file in (self.ca, self.certificate, self.key))


class TlsContext(ssl.SSLContext):
    """A context of files, and the one that has taken its place since."""

    files: TlsFiles
    signature: _Signature
    newer: "TlsContext | None" = None


def tls_context(files: TlsFiles) -> TlsContext:
    """Read the files.

    Raises:
        StartError: one can't be used.
    """
    context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.files, context.signature = files, files.signature()
    try:
        if files.ca:
            context.load_verify_locations(files.ca)
        else:
            context.load_default_certs()
        if files.certificate:
            # Without a passphrase of ours, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(files.certificate, files.key, password=lambda: "")
    except OSError as error:
        raise StartError(
            f"KAFKA_CA_FILE, KAFKA_CERT_FILE or KAFKA_KEY_FILE can't be used: {error}",
            exit_code=2,
        ) from error
    return context


def current(context: ssl.SSLContext | None) -> ssl.SSLContext | None:
    """Give the context of the files as they are now; as they were, while they can't be used."""
    if not isinstance(context, TlsContext):
        return context
    latest = context
    while latest.newer is not None:
        latest = latest.newer
    if latest.files.signature() != latest.signature:
        try:
            latest.newer = tls_context(latest.files)
        except StartError:  # `secrets.not_renewed` says so, and the next change is another chance
            return latest
        latest = latest.newer
    context.newer = latest if latest is not context else None
    return latest


def _stat(file: Path | None) -> tuple[int, int, int] | None:
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
