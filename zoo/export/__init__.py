"""A run's classifier as a file of another format, with what calls it, and the proof that it answers as Keras does."""
