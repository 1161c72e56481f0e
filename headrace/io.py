"""hr.io: read and write records, parse Examples, decode images."""

from .pipeline.decoding import decode_jpeg, decode_png, read_file
from .pipeline.features import FixedLenFeature, VarLenFeature, make_example
from .pipeline.parsing import parse_example, parse_single_example
from .pipeline.records import TFRecordWriter

__all__ = [
    "parse_single_example",
    "parse_example",
    "FixedLenFeature",
    "VarLenFeature",
    "decode_jpeg",
    "decode_png",
    "read_file",
    "TFRecordWriter",
    "make_example",
]
