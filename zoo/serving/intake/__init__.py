"""What comes in: connections, the bytes of a request, the photos in it, and their pixels, each within its limit."""
