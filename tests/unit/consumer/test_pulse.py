"""What a scrape is told of the line, of its models and of its certificates."""

import datetime as dt
import math
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from consumer.errors import HALT_REASONS
from consumer.settings import KafkaSettings, S3Settings, load
from consumer.telemetry.certificates import expiries
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.pulse import Pulse
from tests.support.certificates import Authority


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """Give a sample, which must be there."""
    found = registry.get_sample_value(name, labels)
    assert found is not None, f"there is no {name}{labels}"
    return found


def test_the_gauges_are_the_pulse_of_each_scrape() -> None:
    """Read anew each time; what a standby doesn't know is no number."""
    metrics = Metrics()
    now = Pulse(owner=True, settled_at=1000.5, oldest_at=990.0, unsettled=30, jobs_per_second=2.0)
    metrics.feel(lambda: now)
    read = metrics.registry
    assert value(read, "mask_owner") == 1
    assert value(read, "mask_standby") == 0
    assert value(read, "mask_last_settled_timestamp_seconds") == 1000.5
    assert value(read, "mask_oldest_job_timestamp_seconds") == 990
    assert value(read, "mask_unsettled_jobs") == 30
    assert value(read, "mask_time_to_empty_seconds") == 15
    now = Pulse(standby=True)
    assert (value(read, "mask_owner"), value(read, "mask_standby")) == (0, 1)
    for name in ("unsettled_jobs", "time_to_empty_seconds", "oldest_job_timestamp_seconds"):
        assert math.isnan(value(read, f"mask_{name}"))


def test_a_line_that_settles_nothing_never_gets_empty() -> None:
    """And one where nothing waits is empty already, however long it has been idle."""
    assert Pulse(unsettled=1).seconds_to_empty() == math.inf
    assert Pulse(unsettled=0).seconds_to_empty() == 0


def test_a_halt_has_its_reason() -> None:
    """Every reason is there from the start: a series that isn't there can't be alerted on."""
    metrics = Metrics()
    now = Pulse()
    metrics.feel(lambda: now)

    def halted() -> list[str]:
        reasons = HALT_REASONS
        return [one for one in reasons if value(metrics.registry, "mask_halted", reason=one)]

    assert halted() == []
    now = Pulse(owner=True, halt_reason="records_gone")
    assert halted() == ["records_gone"]


def test_certificates_are_shown_with_the_settings_that_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client's own, and the last of a file of authorities; a replaced file is read anew."""
    authority = Authority(tmp_path)
    client = tmp_path / "client.crt"
    client.write_bytes(authority.certificate(days=20))
    monkeypatch.setenv("KAFKA_CERT_FILE", str(client))
    monkeypatch.setenv("KAFKA_CA_FILE", str(authority.file))
    metrics = Metrics()
    metrics.show_certificates(expiries(load(KafkaSettings), load(S3Settings), None))

    def days_left(setting: str) -> float:
        name = "mask_certificate_expiry_timestamp_seconds"
        left = value(metrics.registry, name, setting=setting) - dt.datetime.now(dt.UTC).timestamp()
        return left / 86_400

    assert 19.9 < days_left("KAFKA_CERT_FILE") < 20
    assert 0 < days_left("KAFKA_CA_FILE") < 0.05
    client.write_bytes(authority.certificate(days=90))
    assert 89.9 < days_left("KAFKA_CERT_FILE") < 90
    client.unlink()
    assert math.isnan(days_left("KAFKA_CERT_FILE"))
    sample = ("mask_certificate_expiry_timestamp_seconds", {"setting": "CALLBACK_CA_FILE"})
    assert metrics.registry.get_sample_value(*sample) is None


def test_the_build_and_the_models_are_named() -> None:
    """Each by what tells it from another."""
    metrics = Metrics()
    metrics.show_models([("body-regions", "ab" * 32)])
    read = metrics.registry
    assert value(read, "mask_model_info", model="body-regions", sha256="ab" * 32) == 1
    (build,) = next(one for one in read.collect() if one.name == "mask_build_info").samples
    assert build.value == 1
    assert set(build.labels) == {"version", "python"}
