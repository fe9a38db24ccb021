"""The errors of digitnet.

    DigitNetError           everything below; the command line prints it as one line and exits with 1
    |-- DataError           a data set is missing, damaged or invalid
    |-- ImageError          an image is missing, damaged, too large or of an unsupported type
    |-- ModelError          a model file is missing, damaged or incompatible
    `-- TrainingError       training cannot start, continue or be resumed

Every message names the thing, the fact and the next step.
"""


class DigitNetError(Exception):
    """Base class of every error that a user can cause or fix."""


class DataError(DigitNetError):
    """A data set is missing, damaged or invalid."""


class ImageError(DigitNetError):
    """An image is missing, damaged, too large or of an unsupported type."""


class ModelError(DigitNetError):
    """A model file is missing, damaged or incompatible."""


class TrainingError(DigitNetError):
    """Training cannot start, continue or be resumed."""
