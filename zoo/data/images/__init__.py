"""What image files are: their pixels, by fixed rules, and what is known of them so that none is read twice."""
