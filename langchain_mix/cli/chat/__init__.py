"""Talk to a Mix agent in the terminal."""
