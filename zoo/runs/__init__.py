"""The folder that one execution leaves: its files, its checkpoints, and the lock on it."""
