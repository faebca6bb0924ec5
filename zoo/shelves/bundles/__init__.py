"""Bundles: a version in one file, with all that a machine without a network needs; read as hostile, used by hash."""
