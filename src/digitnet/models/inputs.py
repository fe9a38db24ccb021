"""How networks' inputs may be scaled."""

INPUTS = {"0..1": (0.0, 1.0), "mnist": (0.1307, 0.3081), "-1..1": (0.5, 0.5), "0..255": (0.0, 1 / 255)}
"""What networks take, by name: (pixel / 255 - mean) / standard deviation. "mnist" are those of MNIST's training set."""
