"""What the proof of an export is made of: photos as files, call.py as others run it, and where it departs."""
