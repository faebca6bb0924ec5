"""From a recipe and a folder to a trained model; `engine.py` tells the story."""
