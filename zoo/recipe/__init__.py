"""Recipes: one TOML file, data and never code, that says how a model is trained.

Nothing is imported here: `finding` needs the standard library only, the other modules need pydantic.
"""
