"""Jobs of millions of images: many processes or a Ray cluster, results as Parquet, resumable at any time.

It belongs to the wing `reading`. Ray is imported only by `workers.py`. Start with `job.py`.
"""
