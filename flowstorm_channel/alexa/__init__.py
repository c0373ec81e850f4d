"""Amazon Alexa: custom skills, the server side (external.md, 1)."""
