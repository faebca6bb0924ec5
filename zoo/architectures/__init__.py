"""One file per family: cards, stages, weights and the builder."""
