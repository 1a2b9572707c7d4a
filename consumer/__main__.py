"""`python -m consumer`: run the consumer."""

from consumer.signals import end_at_once


def main() -> None:
    """Handle signals first: what follows takes seconds to import."""
    end_at_once()
    from consumer.command import app

    app()


if __name__ == "__main__":
    main()
