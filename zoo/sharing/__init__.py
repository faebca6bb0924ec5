"""What teams do with one another's recipes and runs: compare, lock, sign and push them. Nothing is imported here."""
