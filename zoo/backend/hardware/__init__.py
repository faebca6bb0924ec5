"""The machine: what it computes with, and a setting of its C library."""
