"""A shelf as web pages: static files that need no server, and fetch nothing from elsewhere."""
