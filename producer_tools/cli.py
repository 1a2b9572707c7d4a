"""`maskline`: every verb. Data goes to stdout, words to stderr; exit codes are the contract's."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from consumer import topics
from consumer.__main__ import run
from consumer.errors import StartError
from consumer.settings import KafkaSettings, ModelSettings, load
from producer_tools.models import check_model, show_models
from producer_tools.output import Format, FormatOption, say, write
from schemas.export import export
from segmentation.cores import available_cores
from segmentation.errors import DeadlineExceeded, EngineUnavailable, ModelError

app = typer.Typer(
    name="maskline",
    help="Photos of people come in on Kafka, body-region masks come out: in order, exactly once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
topics_app = typer.Typer(no_args_is_help=True, help="The line's topics.")
models_app = typer.Typer(no_args_is_help=True, help="The models that jobs can name.")
schemas_app = typer.Typer(no_args_is_help=True, help="The message contract.")
app.add_typer(topics_app, name="topics")
app.add_typer(models_app, name="models")
app.add_typer(schemas_app, name="schemas")
app.command("consume")(run)

MODEL_EXIT = 4
SERVICE_EXIT = 3


@app.command("demo")
def show_demo(
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PHOTO…]",
            help="Photos or folders of photos; none: public-domain photos from installed packages.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(file_okay=False, help="The folder for masks, contact sheet and log.")
    ] = Path("maskline-demo"),
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds that the photos may take together.")
    ] = 600,
    output: FormatOption = Format.table,
) -> None:
    """Run photos through a real Kafka, S3, consumer and callback on this machine."""
    try:  # here and not above: only the demo needs what comes with the extra `local`
        from producer_tools.local.demo import demo, stand_alone
    except ModuleNotFoundError as error:
        say(f"maskline demo: {error}. Install what it needs: pip install 'maskline[local]'")
        raise typer.Exit(3) from None
    stand_alone()
    raise typer.Exit(demo(photos or [], out=out, timeout=timeout, output=output))


@topics_app.command("create")
def create_topics() -> None:
    """Make the topics that are missing."""
    made, differences = asyncio.run(topics.create(load(KafkaSettings)))
    for name in made:
        say(f"made topic {name}")
    for found in differences:
        say(f"topic {found.topic} {found.says}")
    if not made and not differences:
        say("all topics are there, as they should be")
    if any(found.fatal for found in differences):
        raise typer.Exit(3)


@topics_app.command("check")
def check_topics(output: FormatOption = Format.table) -> None:
    """Say how the topics differ from what they should be."""
    differences = asyncio.run(topics.check(load(KafkaSettings)))
    rows = [
        {"topic": found.topic, "differs": found.says, "fatal": found.fatal} for found in differences
    ]
    write(("topic", "differs", "fatal"), rows, output)
    if not differences:
        say("all topics are there, as they should be")
    if any(found.fatal for found in differences):
        say(topics.MEND)
        raise typer.Exit(3)


@models_app.command("list")
def list_all_models(output: FormatOption = Format.table) -> None:
    """List every model that there is a manifest for, and whether its file is there."""
    settings = load(ModelSettings)
    show_models(settings.model_folder, settings.qwen_model_path, output)


@models_app.command("check")
def check_model_file(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="An ONNX file, or the manifest of a model on a server."
        ),
    ],
    output: FormatOption = Format.table,
) -> None:
    """Run a model once: what it is, which outputs it gives, and what is wrong with it."""
    settings = load(ModelSettings)
    good = check_model(
        file,
        folder=settings.model_folder,
        providers=settings.onnx_providers,
        threads=settings.onnx_threads or available_cores(),
        output=output,
    )
    if not good:
        raise typer.Exit(MODEL_EXIT)


@schemas_app.command("export")
def export_schemas(directory: Path) -> None:
    """Write JSON Schema and AsyncAPI of every message into DIRECTORY."""
    export(directory)
    say(f"schemas written to {directory}")


def main() -> None:
    """Run `maskline`; what can't start says why, and its exit code says of what kind it is."""
    try:
        app()
    except StartError as error:
        say(f"maskline: {error}")
        sys.exit(error.exit_code)
    except ModelError as error:
        say(f"maskline: {error}")
        sys.exit(MODEL_EXIT)
    except (EngineUnavailable, DeadlineExceeded) as error:  # of `models check`
        say(f"maskline: {error}")
        sys.exit(SERVICE_EXIT)


if __name__ == "__main__":
    main()
