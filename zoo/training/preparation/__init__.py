"""The beginning of every run: what a recipe asks, made ready on the data and the machine at hand."""
