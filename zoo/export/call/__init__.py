"""What an export's call.py is made of: from a photo to pixels, and from there to an answer, without zoo."""
