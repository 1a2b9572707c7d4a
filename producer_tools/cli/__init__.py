"""The command line `maskline`: a module for each noun."""
