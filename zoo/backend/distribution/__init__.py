"""Training on several devices of one host or of several: what was asked for, who takes part, and on what they agree."""
