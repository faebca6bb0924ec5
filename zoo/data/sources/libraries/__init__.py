"""Data sets that come through another library."""
