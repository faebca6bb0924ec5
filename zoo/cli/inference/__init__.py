"""Verbs that take images, and a run or a pretrained model."""
