"""Images decoded once to the size of a model, kept in the cache, and taken by their numbers."""
