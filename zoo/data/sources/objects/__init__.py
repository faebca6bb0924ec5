"""Data sets that exist in code, and what they know of their labels."""
