"""The operator graph: one frozen class a node, a file a family, no behaviour.

What a node means is registered elsewhere: its cardinality, its spec, how it is built into operators. Every node
that is named here may travel in a message.
"""

from .cache import Cache
from .checks import AssertCardinality, Unique
from .elements import Filter, FlatMap, IgnoreErrors, Interleave, Items, Map, Unbatch
from .groups import Batch, PaddedBatch, RaggedBatch, Rebatch, SparseBatch
from .kept import Shelf, Snapshot
from .leaves import Csv, FileLeaf, FixedRecords, Generator, Lines, ListFiles, Range, Records, Rows
from .node import Node
from .numbered import GlobalShuffle, Numbered
from .numbers import Counter, Random
from .order import Concatenate, Configured, Enumerate, Prefetch, Repeat, Shard, Shuffle, Skip, Take, Zip
from .sampling import Choose, Sample
from .saved import Decoded
from .sequential import Scan
from .tags import Bucket, Resample, Tagged, TakeWhile
from .windows import Elements, Window, WindowByKey

__all__ = [
    "AssertCardinality",
    "Batch",
    "Bucket",
    "Cache",
    "Choose",
    "Concatenate",
    "Configured",
    "Counter",
    "Csv",
    "Decoded",
    "Elements",
    "Enumerate",
    "FileLeaf",
    "Filter",
    "FixedRecords",
    "FlatMap",
    "Generator",
    "GlobalShuffle",
    "IgnoreErrors",
    "Interleave",
    "Items",
    "Lines",
    "ListFiles",
    "Map",
    "Node",
    "Numbered",
    "PaddedBatch",
    "Prefetch",
    "RaggedBatch",
    "Random",
    "Range",
    "Rebatch",
    "Records",
    "Repeat",
    "Resample",
    "Rows",
    "Sample",
    "Scan",
    "Shard",
    "Shelf",
    "Shuffle",
    "Skip",
    "Snapshot",
    "SparseBatch",
    "Tagged",
    "Take",
    "TakeWhile",
    "Unbatch",
    "Unique",
    "Window",
    "WindowByKey",
    "Zip",
]
