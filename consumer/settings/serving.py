"""Where the consumer answers, and how it logs."""

from typing import Literal

from pydantic import Field

from consumer.settings.addresses import Host
from consumer.settings.group import SettingsGroup


class ServingSettings(SettingsGroup):
    """Where we answer, and how we log."""

    host: Host = "0.0.0.0"  # noqa: S104  # the contract's default: a pod's probes come from outside
    health_port: int = Field(8004, ge=0, le=65535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"
