"""Where a shelf can lie: a folder, an address of a file system, an HTTP server, an installed package."""
