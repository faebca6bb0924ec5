"""What predicts: classifiers and features, without anything that trains."""
