"""What differs: between two recipes or runs, and between a recipe and its lock."""

from zoo.sharing.difference.comparison import Comparison, compare
from zoo.sharing.difference.figures import Figure
from zoo.sharing.difference.sides import Compared, compared

__all__ = ["Compared", "Comparison", "Figure", "compare", "compared"]
