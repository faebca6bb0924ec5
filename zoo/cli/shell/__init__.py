"""How the command line talks: groups, help, completion and streams."""
