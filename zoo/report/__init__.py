"""Figures, tables and progress: what a person reads of a run."""
