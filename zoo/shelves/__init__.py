"""Places that recipes are shared from: versions, each a flat set of named files, stored, found and verified."""
