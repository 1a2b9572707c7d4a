"""`maskline doctor`: what is wrong with the line's surroundings, and what to do."""

import asyncio
from dataclasses import asdict

import typer

from producer_tools.cli.output import Format, FormatOption, print_message, write_rows
from producer_tools.doctor.doctor import examine, exit_code

app = typer.Typer(add_completion=False)


@app.command("doctor")
def look_at_everything(output: FormatOption = Format.table) -> None:
    """Say what is wrong with settings, topics, rights, S3, callback, models and clock.

    It reads and writes nothing of the line's. Run it where the consumer runs, with its settings.
    Exit: 0 nothing is wrong, 2 settings, 3 a service, 4 a model.
    """
    findings = asyncio.run(examine())
    rows = [{**asdict(one), "exit": int(one.exit)} for one in findings]
    shown = [{name: row[name] for name in ("check", "state", "says", "do")} for row in rows]
    write_rows(("check", "state", "says", "do"), shown, output)
    counts = {state: sum(one.state == state for one in findings) for state in ("wrong", "warning")}
    print_message(f"{counts['wrong']} wrong, {counts['warning']} to look at")
    raise typer.Exit(exit_code(findings))
