"""What a device computes in, and how fast it could."""
