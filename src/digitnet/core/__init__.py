"""What every part of digitnet shares: digits, errors, atomic files, text for people, the version.

It imports no other wing, and nothing heavy except in `digits.py`: `digitnet --help` passes through here. Start with
`digits.py` and `errors.py`.
"""
