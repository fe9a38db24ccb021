"""The suffixes of files with images, in lower case: which files of a folder are taken."""

IMAGE_SUFFIXES = frozenset([".png", ".bmp", ".gif", ".jpg", ".jpeg", ".pgm", ".tif", ".tiff", ".webp"])
"""Images of single digits."""

PAGE_SUFFIXES = IMAGE_SUFFIXES | {
    *(".jpe", ".jfif", ".dib", ".pbm", ".ppm", ".pnm", ".heic", ".heif", ".avif", ".pdf"),
}
"""Pages: images and documents."""
