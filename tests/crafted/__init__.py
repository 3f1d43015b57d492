"""Crafted files: a seed makes one, commands meet it, and all must hold (see runner.py)."""
