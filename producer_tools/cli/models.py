"""`maskline models`: lists the models, and checks a model file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from consumer.settings import ModelSettings, load
from producer_tools.cli.output import Format, FormatOption, print_message, write_rows
from segmentation.catalog.inspection import Inspection, inspect, list_models
from segmentation.model.cores import available_cores

app = typer.Typer(no_args_is_help=True, help="The models that jobs can name.")


@app.command("list")
def list_all_models(output: FormatOption = Format.table) -> None:
    """List every model that has a manifest, and whether it is installed."""
    settings = load(ModelSettings)
    show_models(settings.model_folder, settings.qwen_model_path, output)


@app.command("check")
def check_model_file(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="An ONNX file, or the manifest of a model on a server."
        ),
    ],
    output: FormatOption = Format.table,
) -> None:
    """Run a model, and show what it is, which outputs it makes, and what is wrong with it."""
    settings = load(ModelSettings)
    good = check_model(
        file,
        folder=settings.model_folder,
        providers=settings.onnx_providers,
        threads=settings.onnx_threads or available_cores(),
        output=output,
    )
    if not good:
        raise typer.Exit(4)


def show_models(folder: Path | None, body_model: str | None, output: Format) -> None:
    """Write every model that has a manifest, and whether it is installed.

    Raises:
        ModelError: A manifest is broken, or `body_model` has none.
    """
    rows = [
        {
            "model": model.name,
            "installed": model.installed,
            "default": model.default,
            "outputs": ", ".join(model.outputs),
            "file": model.file,
            "manifest": model.manifest,
            "source": model.source,
        }
        for model in list_models(folder, body_model)
    ]
    write_rows(("model", "installed", "default", "outputs", "file"), rows, output)


def check_model(
    file: Path,
    *,
    folder: Path | None,
    providers: Sequence[str],
    threads: int,
    output: Format,
) -> bool:
    """Run the model with 1 and `threads` threads, and write what it is. Return True if it is good.

    Raises:
        ModelError: The file can't be loaded.
        EngineUnavailable: The model's server can't be reached.
    """
    found = inspect(file, folder=folder, providers=providers, threads=sorted({1, threads}))
    facts = _facts(found)
    if output is Format.table:
        rows = [{"fact": fact, "value": _cell(value)} for fact, value in facts.items()]
        write_rows(("fact", "value"), rows, output)
    else:
        write_rows((), [facts], output)
    for problem in found.problems:
        print_message(f"wrong: {problem}")
    if found.suggestion is not None:
        print_message(f"A draft of its manifest. Save it next to the file as {file.stem}.toml:\n")
        print_message(found.suggestion)
    return not found.problems


def _facts(found: Inspection) -> dict[str, object]:
    return {
        "file": found.file,
        "bytes": found.bytes,
        "sha256": found.sha256,
        "opsets": found.opsets,
        "inputs": [str(tensor) for tensor in found.inputs],
        "outputs": [str(tensor) for tensor in found.outputs],
        "providers": list(found.providers),
        "manifest": found.manifest.name if found.manifest else None,
        "gives": list(found.gives),
        "milliseconds": {
            _threads(count): round(milliseconds, 2)
            for count, milliseconds in found.milliseconds.items()
        },
        "wrong": list(found.problems),
    }


def _threads(count: int) -> str:
    if count == 0:
        return "the server's threads"
    return f"{count} thread{'s' if count > 1 else ''}"


def _cell(value: object) -> str:
    """Format a fact for a cell of a table."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {part}" for key, part in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
