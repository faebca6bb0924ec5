"""What decides what a recipe comes to: locks, how they are made, and when one that is there is replaced."""
