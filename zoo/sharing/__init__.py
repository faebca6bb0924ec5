"""What teams do with one another's recipes and runs: compare, lock, sign, push, bundle. Nothing is imported here."""
