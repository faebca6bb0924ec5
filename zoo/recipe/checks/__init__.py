"""Faults of a recipe whose values are each what they may be: what only its model, or all of it together, shows."""
