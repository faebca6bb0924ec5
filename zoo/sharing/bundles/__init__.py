"""What goes into a bundle: all that a machine without a network needs to train as a run or a recipe did."""
