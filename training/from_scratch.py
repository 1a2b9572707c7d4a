"""Makes `body-regions` from scratch: `python -m training.from_scratch --data DIR … --out RUN`.

It labels photos, trains, exports and judges. Each step goes on where it was broken off. `RUN/more`
gets the labelled photos, `RUN/mean.pt` the weights, and `RUN/body-regions.onnx` the network as it
goes out. It prints the model card's table.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from training import evaluate, export, label, train

STEPS, SEED = 600, 1
# Ranges of Stanford's photos in the order of training.label: first and count.
_LABELLED = ((0, 1188), (3000, 1180))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the four steps in order."""
    options = _options(arguments)
    people = [str(options.people)]
    if options.photos:
        people.append(str(options.out / "more"))
        for first, count in _LABELLED:
            label.main(_labelling(options, first, count))
    data = ["--data", str(options.data), "--people"]
    train.main([
        *data, *people, "--light", str(options.light), "--teachers", str(options.teachers),
        "--out", str(options.out), "--steps", str(options.steps), "--seed", str(options.seed),
        "--threads", str(options.threads), "--resume",
    ])  # fmt: skip
    weights = options.out / "body-regions.onnx"
    export.main(["--weights", str(options.out / "mean.pt"), "--out", str(weights)])
    evaluate.main([*data, people[0], "--weights", str(weights)])


def _labelling(options: argparse.Namespace, first: int, count: int) -> list[str]:
    return [
        "--photos", str(options.photos), "--teachers", str(options.teachers),
        "--out", str(options.out / "more"), "--known", str(options.people), "--prefix", "s40",
        "--first", str(first), "--count", str(count),
    ]  # fmt: skip


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, said in (
        ("--data", "street fashion: photos/, regions/, labels/"),
        ("--people", "people and places: see training.people"),
        ("--teachers", "folder of BodyPix and DeepLab"),
        ("--light", "the light network's ONNX file"),
        ("--out", "folder for all that is made"),
    ):
        parser.add_argument(name, type=Path, required=True, help=said)
    parser.add_argument("--photos", type=Path, help="Stanford 40's JPEG files; none: without them")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
