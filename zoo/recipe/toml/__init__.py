"""The text of a recipe: what is read of it, within limits, and on which line each key stands."""
