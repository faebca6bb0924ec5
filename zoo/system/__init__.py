"""What every floor stands on: files, the cache, locks, paths, signals, and text as wide as a terminal."""
