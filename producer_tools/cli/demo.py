"""`maskline demo`."""

from pathlib import Path
from typing import Annotated

import typer

from producer_tools.cli.output import Format, FormatOption, print_message

app = typer.Typer(add_completion=False)


@app.command()
def show_demo(
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PHOTO…]",
            help="Photos or folders of photos. None: public-domain photos from installed packages.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(file_okay=False, help="The folder for masks, contact sheet and log.")
    ] = Path("maskline-demo"),
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds that the photos may take together.")
    ] = 600,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve", help="Then leave all of it running, with the gateway and its page."
        ),
    ] = False,
    output: FormatOption = Format.table,
) -> None:
    """Run photos through a real Kafka, S3, consumer and callback on this machine."""
    try:  # imported here, because only the demo needs the packages of the extra `local`
        from producer_tools.local.demo.demo import demo, isolate_environment
    except ModuleNotFoundError as error:
        print_message(
            f"maskline demo: {error}. Install what it needs: pip install 'maskline[local]'"
        )
        raise typer.Exit(3) from None
    isolate_environment()
    raise typer.Exit(demo(photos or [], out=out, timeout=timeout, output=output, serve=serve))
