"""The command line `maskline`. Each command has a module with its name."""
