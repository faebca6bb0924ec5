"""What a command or a call asks for, resolved and carried out."""
