"""How fast, how smooth and how frugal the line is: `python -m tests.benchmarks --help`."""
