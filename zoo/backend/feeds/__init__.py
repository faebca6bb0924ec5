"""How batches reach Keras' `fit` on each backend."""
