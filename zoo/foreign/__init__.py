"""Every byte that others made: HDF5, PyTorch checkpoints, SavedModels, and the trust that programs need."""
