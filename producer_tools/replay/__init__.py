"""Replay by copies: records of the jobs topic done again, as jobs of their own at its tail."""
