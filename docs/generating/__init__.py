"""How the parts of the documentation are made that say what the code says; `generate.py` writes them."""
