"""Verbs about finished runs."""
