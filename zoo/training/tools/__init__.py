"""What users try before they train: the learning-rate range test and the preview."""
