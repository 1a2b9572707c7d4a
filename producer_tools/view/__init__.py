"""The view: a line's topics folded into SQLite, so that questions about jobs are answered at once.

docs/adr/0028-the-view.md says how it stays right.
"""
