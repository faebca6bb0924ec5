"""What happens around `fit` in a phase: guards, seeds, records, early stopping, progress."""
