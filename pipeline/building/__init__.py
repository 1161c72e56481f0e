"""Building: from the graph to operators that can be pulled, in process or in a broker."""

from . import groups, kept, order, several  # noqa: F401  (each registers how its operators are built)
from .core import BUFFER_BYTES, Settings, buffer_bytes_of, build, judged, top_of
from .groups import padding_of

__all__ = ["BUFFER_BYTES", "Settings", "build", "buffer_bytes_of", "judged", "padding_of", "top_of"]
