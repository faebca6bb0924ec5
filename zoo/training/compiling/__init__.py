"""What fit compiles: the training model, its optimizer, loss, schedule and mixing."""
