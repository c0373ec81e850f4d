"""The checks of Alexa skills: the kit is Alexa."""
