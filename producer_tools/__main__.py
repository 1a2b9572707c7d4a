"""`maskline`, also as `python -m producer_tools`."""

import sys

from consumer.signals import end_at_once


def main() -> None:
    """Run the verb; a server heeds signals first, since its imports take seconds."""
    if sys.argv[1:2] in (["consume"], ["gateway"]):
        end_at_once()
    from producer_tools.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
