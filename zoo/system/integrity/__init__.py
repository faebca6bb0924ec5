"""What shows that a file is what was written: manifests, and what a look at every hash found."""
