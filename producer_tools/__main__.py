"""Runs the command line: `python -m producer_tools` is the same as `maskline`."""

from producer_tools.cli.app import main

main()
