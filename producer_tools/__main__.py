"""`python -m producer_tools`: the same as `maskline`."""

from producer_tools.cli.app import main

main()
