"""The HTML report about a model.

It belongs to the wing `evaluation`. Start with `build.py`: `measure.py` computes what the report shows, `figures.py`
and the modules of plots draw it, `summary.py` puts it into sentences.
"""
