"""What `import headrace as hr` offers: every public name, and nothing but names."""

from . import image, io, text
from .client.connecting import connect
from .client.embedded import serve
from .client.iterator import ServiceIterator
from .client.service import Service
from .pipeline.cardinality import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY
from .pipeline.dataset import AUTOTUNE, Dataset, Options
from .pipeline.errors import (
    DataLossError,
    FailedPreconditionError,
    FunctionChangedWarning,
    FunctionError,
    HeadraceError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PoisonError,
    ProtocolError,
    ResourceExhaustedError,
    ServiceError,
)
from .pipeline.files import CsvDataset, FixedLengthRecordDataset, TextLineDataset, TFRecordDataset
from .pipeline.iterator import Iterator
from .pipeline.optional import Optional
from .pipeline.options import AutotuneOptions, DistributeOptions, OptimizationOptions, ThreadingOptions
from .pipeline.placeholder import placeholder
from .pipeline.spec import DatasetSpec, TensorSpec

__all__ = [
    "io",
    "image",
    "text",
    "Dataset",
    "TFRecordDataset",
    "TextLineDataset",
    "FixedLengthRecordDataset",
    "CsvDataset",
    "Optional",
    "Options",
    "AutotuneOptions",
    "DistributeOptions",
    "OptimizationOptions",
    "ThreadingOptions",
    "serve",
    "connect",
    "Service",
    "ServiceIterator",
    "Iterator",
    "placeholder",
    "TensorSpec",
    "DatasetSpec",
    "AUTOTUNE",
    "INFINITE_CARDINALITY",
    "UNKNOWN_CARDINALITY",
    "HeadraceError",
    "InvalidArgumentError",
    "OutOfRangeError",
    "FailedPreconditionError",
    "ResourceExhaustedError",
    "FunctionError",
    "PoisonError",
    "NotFoundError",
    "DataLossError",
    "ProtocolError",
    "ServiceError",
    "FunctionChangedWarning",
]
