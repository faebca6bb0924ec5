"""`zoo.verify` of what is shared: locks, receipts, versions and shelves, and who signed them."""
