"""hr.io: read and write records, parse Examples, decode images."""

from .pipeline.decoding import (
    decode_and_crop_jpeg,
    decode_bmp,
    decode_gif,
    decode_image,
    decode_jpeg,
    decode_png,
    decode_webp,
    read_file,
)
from .pipeline.features import FixedLenFeature, FixedLenSequenceFeature, SparseFeature, VarLenFeature
from .pipeline.indexing import write_index
from .pipeline.making import make_example, make_sequence_example
from .pipeline.parsing import ExampleParser, example_parser, parse_example, parse_single_example
from .pipeline.ragged_feature import RaggedFeature
from .pipeline.records import TFRecordWriter
from .pipeline.sequence_parsing import parse_sequence_example, parse_single_sequence_example

__all__ = [
    "parse_single_example",
    "parse_example",
    "example_parser",
    "ExampleParser",
    "parse_single_sequence_example",
    "parse_sequence_example",
    "FixedLenFeature",
    "VarLenFeature",
    "FixedLenSequenceFeature",
    "RaggedFeature",
    "SparseFeature",
    "decode_image",
    "decode_jpeg",
    "decode_and_crop_jpeg",
    "decode_png",
    "decode_gif",
    "decode_bmp",
    "decode_webp",
    "read_file",
    "TFRecordWriter",
    "write_index",
    "make_example",
    "make_sequence_example",
]
