"""What a user's callbacks and trackers see: one training of the whole model."""
