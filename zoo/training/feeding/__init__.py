"""How batches reach fit."""
