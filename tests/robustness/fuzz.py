"""Good pictures, mutated at random: `python -m tests.robustness.fuzz [--files N] [--seed S]`.

Each goes through the whole of `segment` with the trivial model. Printed are the numbers of files,
of masks, of each error code and of crashes, the longest time and the peak memory; the seed makes
the same files again. The hypothesis test of the same decoder is `test_fuzzed_photos.py`.
"""

import argparse
import random
import sys
import warnings
from collections.abc import Iterator

from tests.robustness.corpus import run, trivial_catalog
from tests.support.hostile import MASKS, hostile_files, whole
from tests.support.photos import LIMITS

_LARGEST = 20_000  # bytes of a file that is worth mutating


def seeds() -> list[bytes]:
    """Good files of every kind: the odd and the rotated ones too."""
    odd = [h.file for h in hostile_files() if MASKS in h.expected and len(h.file) < _LARGEST]
    return [*whole().values(), *odd]


def mutated(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """So many mutated files, and a name for each."""
    chance, good = random.Random(seed), seeds()
    for number in range(count):
        file = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 8)):
            _mutate(file, chance, good)
        yield f"file {number} of seed {seed}", bytes(file)


def _mutate(file: bytearray, chance: random.Random, good: list[bytes]) -> None:
    at = chance.randrange(len(file) + 1)
    if chance.random() < 0.5:  # headers are where decoders err
        at = min(at, chance.randrange(200))
    length = chance.choice((1, 1, 2, 4, 16, 200))
    kind = chance.randrange(5)
    if kind == 0:
        file[at : at + length] = chance.randbytes(length)
    elif kind == 1:
        del file[at : at + length]
    elif kind == 2:
        file[at:at] = file[at : at + length]
    elif kind == 3:
        other = chance.choice(good)
        begin = chance.randrange(len(other))
        file[at : at + length] = other[begin : begin + length]
    else:
        file[at : at + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))


def main() -> int:
    """Run; 1 when anything crashed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # Pillow's remarks on odd files
    return run(mutated(given.files, given.seed), trivial_catalog(), LIMITS, listed=False)


if __name__ == "__main__":
    sys.exit(main())
