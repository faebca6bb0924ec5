"""Files that list images: their rows, columns and paths."""
