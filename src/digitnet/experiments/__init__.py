"""The benchmark of models and baselines, and the audit for wrong labels.

It imports `core`, `data`, `models`, `evaluation` and `training`. Start with `benchmark.py` or `label_audit.py`.
"""
