"""A recipe proposed for images: looked at, decided by a rule, timed, fitted to a budget, and written with reasons."""
