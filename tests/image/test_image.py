"""What is in the image, what isn't, and how its layers are made."""

import json
from pathlib import Path

import pytest

from tests.image.containers import IMAGE, ROOT, Store

MOST_BYTES = 400_000_000
UNWANTED = (
    "pip", "pip3", "ensurepip", "cc", "hatchling", "torch", "pytest", "moto", "training", "tests",
    ".cache",
)  # fmt: skip
COMMANDS = json.loads((ROOT / "tests/contract/public_names.json").read_text())["commands"]


def test_every_command_runs_as_anybody(layers: list[str], store: Store) -> None:
    """As a user without an entry in passwd and without HOME, on a read-only root."""
    script = " && ".join(f"{command} --help" for command in COMMANDS)
    check = f"{script} && maskline models list && ! touch /x && test ! -w /app && touch /tmp/x"
    ran = store.run(*store.restricted("-c", check, before=("--rm", "--entrypoint=/bin/sh")))
    assert ran.stdout.count("Usage: maskline") == len(COMMANDS)
    assert "body-regions" in ran.stdout
    assert [] == [line for line in ran.stderr.splitlines() if "Read-only" not in line]


def test_the_image_is_small_and_says_of_what_it_is(layers: list[str], store: Store) -> None:
    """The sizes of its layers are printed: `make image ARGS=-s`."""
    facts = json.loads(store.run("podman", "image", "inspect", IMAGE).stdout)[0]
    history = store.run("podman", "history", "--format={{.Size}} {{.CreatedBy}}", IMAGE).stdout
    print("\n" + "\n".join(line[:110] for line in history.splitlines() if line[:2] != "0B"))
    print(f"{facts['Size'] / 1e6:.0f} MB in all")
    assert facts["Size"] < MOST_BYTES


def test_nothing_is_in_it_that_it_does_not_need(layers: list[str], store: Store) -> None:
    names = " -o ".join(f"-name {name}" for name in UNWANTED)
    find = f"find / -xdev \\( {names} \\) -not -path '/proc/*' -not -path '/sys/*'"
    ran = store.run(
        *store.restricted("-c", find, before=("--rm", "--entrypoint=/bin/sh")), check=False
    )
    assert "" == ran.stdout
    ran = store.run(
        *store.restricted("-m", "pip", before=("--rm", "--entrypoint=/venv/bin/python")),
        check=False,
    )
    assert "No module named pip" in ran.stderr


def test_its_labels_say_what_it_is(layers: list[str], store: Store) -> None:
    facts = json.loads(store.run("podman", "image", "inspect", IMAGE).stdout)[0]
    labels = facts["Labels"]
    assert labels["org.opencontainers.image.title"] == "Maskline"
    assert labels["org.opencontainers.image.revision"] == "abc123"
    assert "ORT_DISABLE_TELEMETRY=1" in facts["Config"]["Env"]
    assert facts["Config"]["User"] == "10001:10001"


@pytest.mark.parametrize("file", ["consumer/app.py", "producer_tools/__main__.py"])
def test_a_change_of_our_code_makes_one_layer(
    file: str, layers: list[str], store: Store, source: Path
) -> None:
    changed = source / file
    before = changed.read_text()
    changed.write_text(before + "\n# changed\n")
    try:
        others = store.build(source, "localhost/maskline:changed", "--build-arg=REVISION=abc123")
    finally:
        changed.write_text(before)
    assert layers[:-1] == others[:-1]
    assert layers[-1] != others[-1]
