"""A setting that can't work is refused by its name, in one sentence, before anything is opened."""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from aiokafka.conn import collect_hosts
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consumer.errors import StartError
from consumer.kafka.connection import connection_options
from consumer.s3.fetch import Images
from consumer.settings import Settings
from consumer.settings.images import ImageFormat
from segmentation.photo.formats import detect_format
from tests.support.hostile import photo
from tests.support.photos import saved

NEEDED = {"MASK_ASSET_URL": "http://masks:8080/x", "MASK_COMPONENT_SECRET": "s3cret-value"}
PASSWORD = "pa55-w0rd"  # noqa: S105 - of this test
URLS = ("MASK_ASSET_URL", "S3_ENDPOINT_URL", "CALLBACK_ALLOWED_ORIGINS")

BAD_URLS = (
    "masks:8080",
    "ftp://masks/",
    "http://",
    "http:///x",
    "http:/masks/x",
    "http://masks:port/",
    "http://masks:0/",
    "http://masks:65536/",
    "http://ma sks/",
    "http://masks\\@other/",
    "http://a..b/",
    f"http://{'a' * 64}/",
    "http://1.2.3/",
    "http://[::1/",
    "http://[:::]/",
    "http://mäsks/",
    "http://masks/#part",
    f"http://user:{PASSWORD}@masks/",
    f"http://user:{PASSWORD}/x@masks/",
    f"http://{PASSWORD}@masks/",
)

BAD = (
    *((name, url) for name in URLS for url in BAD_URLS),
    ("S3_ENDPOINT_URL", "http://s3:9000/?x=1"),
    ("CALLBACK_ALLOWED_ORIGINS", "http://masks/path"),
    ("CALLBACK_ALLOWED_ORIGINS", "http://masks,*"),
    ("CALLBACK_ALLOWED_ORIGINS", ","),
    ("CALLBACK_CA_FILE", "/dev/null/nowhere"),
    ("CALLBACK_CA_FILE", __file__),
    ("S3_ALLOWED_BUCKETS", "s3://photos"),
    ("S3_ALLOWED_BUCKETS", "photos,minio://others/a"),
    ("S3_ALLOWED_BUCKETS", "/photos"),
    ("S3_ALLOWED_BUCKETS", "*"),
    ("S3_ALLOWED_BUCKETS", "arn:aws:s3:::photos"),
    ("S3_ALLOWED_BUCKETS", " , "),
    ("S3_REGION", "eu central"),
    ("UPLOAD_BUCKET", "s3://uploads"),
    ("UPLOAD_BUCKET", "uploads/prefix"),
    ("AWS_CA_BUNDLE", "/dev/null/nowhere/ca.pem"),
    ("AWS_ACCESS_KEY_ID", "alone"),
    ("AWS_SECRET_ACCESS_KEY", PASSWORD),
    ("IMAGE_FORMATS", "jpeg"),
    ("IMAGE_FORMATS", "JPEG,JPG"),
    ("IMAGE_FORMATS", "HEIC"),
    ("IMAGE_FORMATS", ","),
    ("ONNX_PROVIDERS", ","),
    ("KAFKA_BOOTSTRAP_SERVERS", "kafka:port"),
    ("KAFKA_BOOTSTRAP_SERVERS", "kafka:"),
    ("KAFKA_BOOTSTRAP_SERVERS", "kafka:99999"),
    ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092,other:x"),
    ("KAFKA_BOOTSTRAP_SERVERS", "PLAINTEXT://kafka:9092"),
    ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092/path"),
    ("KAFKA_BOOTSTRAP_SERVERS", "[::1"),
    ("KAFKA_BOOTSTRAP_SERVERS", "a..b:9092"),
    ("KAFKA_BOOTSTRAP_SERVERS", ","),
    ("KAFKA_BOOTSTRAP_SERVERS", f"user:{PASSWORD}@kafka:9092"),
    ("KAFKA_SECURITY_PROTOCOL", "TLS"),
    ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
    ("KAFKA_CA_FILE", "/dev/null/nowhere/ca.pem"),
    ("KAFKA_CERT_FILE", "/"),
    ("KAFKA_KEY_FILE", "/dev/null/nowhere/key.pem"),
    ("KAFKA_KEY_FILE", __file__),
    ("JOBS_TOPIC", "mask jobs"),
    ("JOBS_TOPIC", ".."),
    ("JOBS_TOPIC", "a" * 250),
    ("JOBS_TOPIC", "__consumer_offsets"),
    ("STATUS_TOPIC", "mask.jobs"),
    ("STATUS_TOPIC", "mask_jobs"),
    ("CONTROL_TOPIC", "mask.status"),
    ("DEAD_LETTER_TOPIC", "mask.jobs"),
    ("CONSUMER_GROUP", "a group"),
    ("HOST", "http://0.0.0.0"),
    ("HOST", "a..b"),
    ("HOST", "::g"),
    ("HEALTH_PORT", "tcp://10.0.0.1:80"),
    ("HEALTH_PORT", "65536"),
    ("HEALTH_PORT", "-1"),
    ("LOG_LEVEL", "info"),
    ("LOG_FORMAT", "text"),
    ("MAX_ATTEMPTS", "1"),
    ("MAX_IN_FLIGHT", "0"),
    ("MAX_IN_FLIGHT", "1.5"),
    ("WORKER_COUNT", "two"),
    ("QUEUE_MAX_SIZE", "9" * 400),
    ("DEAD_LETTER_LIMIT", "-1"),
    ("MAX_IMAGE_BYTES", "9" * 30),
    ("MAX_IMAGE_PIXELS", "200000000"),
    ("ONNX_THREADS", "0"),
    *(
        (name, value)
        for name in (
            "JOB_DEADLINE_SECONDS",
            "SHUTDOWN_GRACE_SECONDS",
            "CALLBACK_TIMEOUT_SECONDS",
            "CALLBACK_BUDGET_SECONDS",
            "FETCH_DEADLINE_SECONDS",
        )
        for value in ("nan", "inf", "-1", "1e300", "30s")
    ),
    ("MASK_ASSET_URL", ""),
    ("MASK_COMPONENT_SECRET", ""),
    ("SECRETS_DIR", "/dev/null/nowhere"),
    ("SECRETS_DIR", __file__),
)

GOOD = (
    ("MASK_ASSET_URL", "https://mask_assets.example.:8443/a@b/%20?token=x&y=@"),
    ("MASK_ASSET_URL", "http://[2001:db8::1]:80/"),
    ("MASK_ASSET_URL", "HTTP://127.0.0.1"),
    ("S3_ENDPOINT_URL", "http://minio:9000/prefix/"),
    ("CALLBACK_ALLOWED_ORIGINS", "http://a, https://b:1/,"),
    ("S3_ALLOWED_BUCKETS", "photos, others/u-42/,a/ä b"),
    ("IMAGE_FORMATS", "PNG,GIF"),
    ("KAFKA_BOOTSTRAP_SERVERS", "a:1, b_c:2,[::1]:3,10.0.0.1,"),
    ("KAFKA_CA_FILE", __file__),
    ("HOST", "::"),
    ("HOST", "localhost"),
    ("HEALTH_PORT", "0"),
    ("SHUTDOWN_GRACE_SECONDS", "0"),
    ("CONSUMER_GROUP", "team/masks:1"),
    ("S3_REGION", ""),
)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests."""
    monkeypatch.setattr("os.environ", dict(NEEDED))


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_setting_that_cannot_work_is_refused_by_name(name: str, value: str) -> None:
    """With exit 2, in one line that says what is wrong, without a password."""
    said = refused({name: value})

    assert name in said
    assert PASSWORD not in said
    assert "\n" not in said
    assert len(said) < 600


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_a_setting_that_can_work_is_taken(name: str, value: str) -> None:
    """As operators write them."""
    os.environ[name] = value
    Settings()


def test_every_broker_is_read_as_it_was_meant() -> None:
    """By aiokafka itself."""
    os.environ["KAFKA_BOOTSTRAP_SERVERS"] = "a:1, b_c:2,[::1]:3,10.0.0.1,"
    options = connection_options(Settings().kafka)
    hosts = [entry[:2] for entry in collect_hosts(options["bootstrap_servers"], randomize=False)]
    assert hosts == [("a", 1), ("b_c", 2), ("::1", 3), ("10.0.0.1", 9092)]


@pytest.mark.parametrize("kind", get_args(ImageFormat))
def test_every_format_that_can_be_allowed_is_known_by_its_first_bytes(kind: str) -> None:
    """So that a photo of it can match."""
    file = b"8BPS" if kind == "PSD" else saved(photo(64, 64), kind)
    assert kind == detect_format(file)


class TestSecretFiles:
    """Files in `SECRETS_DIR`."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        os.environ["SECRETS_DIR"] = str(tmp_path)
        del os.environ["MASK_COMPONENT_SECRET"]
        return tmp_path

    def test_are_secrets(self, folder: Path) -> None:
        """Without the line's end that an editor puts there."""
        (folder / "mask_component_secret").write_text("from-a-file\n")
        assert Settings().callback.mask_component_secret.get_secret_value() == "from-a-file"

    def test_come_after_the_environment(self, folder: Path) -> None:
        """Which is nearer."""
        os.environ["MASK_COMPONENT_SECRET"] = PASSWORD
        (folder / "mask_component_secret").write_text("from-a-file")
        assert Settings().callback.mask_component_secret.get_secret_value() == PASSWORD

    def test_are_no_other_settings(self, folder: Path) -> None:
        """A folder of secrets may belong to other programs, too."""
        (folder / "mask_component_secret").write_text("from-a-file")
        (folder / "host").write_text("db.internal")
        assert Settings().serving.host == "0.0.0.0"  # noqa: S104

    @pytest.mark.parametrize("content", [b"", b"\n", b" \t\n", b"\xff\xfe", b"x" * 100_000])
    def test_must_hold_a_secret(self, folder: Path, content: bytes) -> None:
        """Neither nothing, nor what is no text, nor what is no secret."""
        (folder / "mask_component_secret").write_bytes(content)
        assert "mask_component_secret" in refused({})

    def test_must_be_files(self, folder: Path) -> None:
        """A pipe would be waited for."""
        os.mkfifo(folder / "mask_component_secret")
        assert "mask_component_secret" in refused({})


_PIECES = st.lists(
    st.sampled_from([*"aZ09./:@,?#[]\\%_- \t\n\"'{}\udcff\u00e4\u3002", "http://", "s3://", "::1"]),
    max_size=12,
).map("".join)
_NAMES = sorted({name for name, _ in (*BAD, *GOOD)})


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(_NAMES), _PIECES, max_size=2))
@example({"MASK_COMPONENT_SECRET": "\udcff"})
@example({"KAFKA_CA_FILE": "\udcff"})
@example({"KAFKA_CA_FILE": "a" * 5000})
async def test_no_environment_gives_a_traceback(environment: Mapping[str, str]) -> None:
    """What is taken can be used by Kafka's client and S3's; all else is refused in one line."""
    os.environ |= environment
    try:
        taken = Settings()
        collect_hosts(connection_options(taken.kafka)["bootstrap_servers"])
        async with Images(taken.s3, max_bytes=1, threads=1):
            pass
    except StartError as error:
        said = error
    else:
        said = StartError("nothing", exit_code=2)
    finally:
        os.environ.clear()
        os.environ |= NEEDED
    assert said.exit_code == 2
    assert re.fullmatch(r"[^\n]+", str(said))


@pytest.mark.parametrize(
    "files",
    [
        {"KAFKA_CA_FILE": __file__},
        {"KAFKA_CERT_FILE": __file__},
        {"KAFKA_CERT_FILE": "cert.pem"},
        {"KAFKA_CERT_FILE": "cert.pem", "KAFKA_KEY_FILE": __file__},
        {"KAFKA_CERT_FILE": "cert.pem", "KAFKA_KEY_FILE": "locked.pem"},
    ],
)
def test_files_for_tls_are_read_at_start(files: Mapping[str, str], tmp_path: Path) -> None:
    """A key that wants a passphrase doesn't ask for one on a terminal."""
    certificate(tmp_path)
    os.environ |= {"KAFKA_SECURITY_PROTOCOL": "SSL"}
    os.environ |= {name: str(tmp_path / file) for name, file in files.items()}
    with pytest.raises(StartError, match="KAFKA_KEY_FILE can't be used") as caught:
        connection_options(Settings().kafka)
    assert caught.value.exit_code == 2


def certificate(folder: Path) -> None:
    """Write `cert.pem`, and its key with a passphrase as `locked.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    (folder / "cert.pem").write_bytes(made)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    (folder / "locked.pem").write_bytes(locked)


def refused(environment: Mapping[str, str]) -> str:
    """What is said of settings that can't work."""
    os.environ |= environment
    with pytest.raises(StartError) as caught:
        Settings()
    assert caught.value.exit_code == 2
    return str(caught.value)
