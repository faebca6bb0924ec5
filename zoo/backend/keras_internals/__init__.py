"""Every private or experimental name of Keras and TensorFlow that zoo uses, each behind a function that checks it.

A function says why no public name does, and where the name is in the source. Where another release has renamed it,
the function raises a ZooError that names the installed release, instead of training or building something else.
"""
