"""What runs an exported model: one module for each format, of which `call.py` has the text.

Each imports the standard library, NumPy and its own runtime only, and has `open_model(folder, threads=None)`. What that
returns takes uint8[n, height, width, channels] and gives float32[n, classes]; one thread at a time may call it.
"""
