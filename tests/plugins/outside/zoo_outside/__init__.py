"""A package that adds a row of each kind to zoo's tables, as anyone outside may."""
