"""What is wrong or odd in a set of images, with the names of the files."""
