"""Verbs about images before any training."""
