"""Parts of a model by name, what trains of them, and the proof that nothing else moved."""
