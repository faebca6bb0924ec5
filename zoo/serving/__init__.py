"""A server of classifiers: photos in by HTTP, classes and probabilities out."""
