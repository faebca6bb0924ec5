"""What differs between machines and Keras' backends: devices, precision, memory, Keras' global state."""
