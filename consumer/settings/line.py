"""How much the line does at once, and for how long."""

from pydantic import Field

from consumer.settings.group import SettingsGroup

DAY_SECONDS = 86_400


class LineSettings(SettingsGroup):
    """How much is under way at once, and for how long."""

    worker_count: int = Field(2, ge=1, le=256)
    # Why 16: docs/adr/0019-sixteen-in-flight.md
    max_in_flight: int = Field(16, ge=1, le=10_000)
    queue_max_size: int = Field(100, ge=1, le=1_000_000)
    job_deadline_seconds: float = Field(60, gt=0, le=DAY_SECONDS)
    shutdown_grace_seconds: float = Field(25, ge=0, le=DAY_SECONDS)
    dead_letter_limit: int = Field(100, ge=0, le=1_000_000)
    max_attempts: int = Field(3, ge=2, le=1_000)
