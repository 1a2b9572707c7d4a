"""What holds for every test."""

import signal

from hypothesis import HealthCheck, settings

# A shell starts its background jobs with SIGINT ignored, and a child would inherit that: the tests
# that press Ctrl-C would wait for ever. A signal that is handled here is a default one in a child.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes depends on what else the machine does.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
