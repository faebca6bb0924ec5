"""Folders of images: which are splits, which are classes."""
