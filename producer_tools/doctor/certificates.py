"""How long certificates are good for."""

import time

from producer_tools.doctor.finding import Finding, good, warn, wrong
from producer_tools.doctor.peer import DAY_SECONDS

WARN_DAYS = 14


def certificate(whose: str, expires: float | None) -> Finding | None:
    """Say how long a certificate is good for; None where there is none."""
    if expires is None:
        return None
    if expires != expires:
        return wrong("certificates", f"{whose} can't be read", "put a PEM file there")
    days = (expires - time.time()) / DAY_SECONDS
    if days < 0:
        return wrong("certificates", f"{whose} has expired {-days:.0f} days ago", "replace it")
    says = f"{whose} is good for {days:.0f} days"
    return (
        warn("certificates", says, "replace it") if days < WARN_DAYS else good("certificates", says)
    )
