"""When certificates expire that the settings name."""

import _ssl
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from consumer.settings import CallbackSettings, KafkaSettings, S3Settings


def client_certificate_expiry(file: Path) -> float:
    """Give when a client's certificate expires, in seconds since 1970; NaN where it can't be read.

    It is the first in its file. Python has no public way to read it.
    """
    try:
        return _expiry(_ssl._test_decode_cert(str(file)))  # type: ignore[attr-defined]
    except (OSError, ValueError, KeyError):
        return float("nan")


def authorities_expiry(file: Path) -> float:
    """Give when the last of a file's authorities expires; NaN where it can't be read.

    While an authority replaces another, the file has both.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=file)
        return max(map(_expiry, context.get_ca_certs()), default=float("nan"))
    except (OSError, ValueError, KeyError):
        return float("nan")


def expiries(
    kafka: KafkaSettings | None, s3: S3Settings | None, callback: CallbackSettings | None
) -> dict[str, Callable[[], float]]:
    """Give for each setting that names a file how to read when its certificate expires.

    Files are replaced while the process runs, so each call reads its file.
    """
    named = (
        ("KAFKA_CERT_FILE", client_certificate_expiry, kafka.kafka_cert_file if kafka else None),
        ("KAFKA_CA_FILE", authorities_expiry, kafka.kafka_ca_file if kafka else None),
        ("AWS_CA_BUNDLE", authorities_expiry, s3.aws_ca_bundle if s3 else None),
        ("CALLBACK_CA_FILE", authorities_expiry, callback.callback_ca_file if callback else None),
    )
    return {name: partial(read, file) for name, read, file in named if file is not None}


def _expiry(certificate: Mapping[str, object]) -> float:
    return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))
