"""Write the package's sets of training images: MNIST's training part, and the digits of handwriting fonts.

python benchmarks/image_sets.py

The digits of fonts depend on the version of FreeType that Pillow has.
"""

from digitnet.core.files import write_atomic
from digitnet.data.datasets import load
from digitnet.models.trained_on import HOME, ImageSet


def main() -> None:
    """Write both and say how large they are."""
    for name, part in (("mnist", "train"), ("fonts", "all")):
        images, path = load(name, part).images, HOME / f"{name}.images.gz"
        write_atomic(path, ImageSet.of(images).packed())
        print(f"{path}: {len(images):,} images, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
