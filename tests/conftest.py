"""What holds for every test."""

import signal

# A shell starts its background jobs with SIGINT ignored, and a child would inherit that: the tests
# that press Ctrl-C would wait for ever. A signal that is handled here is a default one in a child.
signal.signal(signal.SIGINT, signal.default_int_handler)
