"""From a registered name to a Keras model, and a model's way to disk and back."""
