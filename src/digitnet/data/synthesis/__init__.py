"""Digits and numbers that digitnet draws itself, for training and for tests.

It belongs to the wing `data`. Start with `composer.py`: it puts digits by `writers.py` on paper.
"""
