"""`zoo reproduce`: a recipe is run under its lock, the result compared, and what explains a difference is named."""
