"""The frozen prefix of a model: computed once, kept, and trained on."""
