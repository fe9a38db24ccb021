"""What can go wrong, as one small family.

    DigitNetError           everything below; the command line prints it as one line and exits with 1
    |-- DataError           a data set is missing, damaged or not what it claims to be
    |-- ImageError          a picture is missing, damaged, too large or of a kind that is not read
    |-- ModelError          a model file is missing, damaged or of another shape
    `-- TrainingError       training cannot start, go on or be resumed

Every message names the thing, the fact and the next step.
"""


class DigitNetError(Exception):
    """Base of every error that a user can cause or mend."""


class DataError(DigitNetError):
    """A data set is missing, damaged or not what it claims to be."""


class ImageError(DigitNetError):
    """A picture is missing, damaged, too large or of a kind that is not read."""


class ModelError(DigitNetError):
    """A model file is missing, damaged or of another shape."""


class TrainingError(DigitNetError):
    """Training cannot start, go on or be resumed."""
