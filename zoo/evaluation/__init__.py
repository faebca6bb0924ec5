"""What a classifier is worth: figures, mistakes, and how they are measured."""
