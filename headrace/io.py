"""hr.io: read and write records, parse Examples, decode images."""

from .pipeline.decoding import decode_bmp, decode_image, decode_jpeg, decode_png, read_file
from .pipeline.features import FixedLenFeature, VarLenFeature, make_example
from .pipeline.parsing import ExampleParser, example_parser, parse_example, parse_single_example
from .pipeline.records import TFRecordWriter

__all__ = [
    "parse_single_example",
    "parse_example",
    "example_parser",
    "ExampleParser",
    "FixedLenFeature",
    "VarLenFeature",
    "decode_image",
    "decode_jpeg",
    "decode_png",
    "decode_bmp",
    "read_file",
    "TFRecordWriter",
    "make_example",
]
