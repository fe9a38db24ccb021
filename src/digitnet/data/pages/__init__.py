"""Whole pages that digitnet draws itself, with the places of their numbers: what the page network learns from.

It belongs to the wing `data`. Start with `compose.py`; `sheet.py` is what all others draw on.
"""
