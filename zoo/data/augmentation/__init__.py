"""Random changes to training images: the rows of the open table, and what builds, draws and repeats them."""
