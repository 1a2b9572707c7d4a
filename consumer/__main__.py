"""`python -m consumer`: run the consumer."""

from consumer.signals import end_at_once


def main() -> None:
    """Heed signals first: what follows takes seconds to import."""
    end_at_once()
    import typer

    from consumer.command import run

    typer.run(run)


if __name__ == "__main__":
    main()
