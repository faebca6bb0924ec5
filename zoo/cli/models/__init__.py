"""Verbs about the models that there are, and their weights."""
