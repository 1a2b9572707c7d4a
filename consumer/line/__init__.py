"""The line: membership of the group, the lane of jobs in flight, and settling."""
