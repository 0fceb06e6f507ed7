"""Databases as datastores: where they are, and how rows come from them and go into them."""
