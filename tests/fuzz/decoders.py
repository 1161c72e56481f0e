"""All decoders that are fuzzed, by name."""

from __future__ import annotations

from .decoder import Decoder
from .examples import EXAMPLES
from .files import FILES
from .kept import KEPT
from .state import STATE
from .tokens import TOKENS
from .wire import WIRE

__all__ = ["DECODERS"]

DECODERS: dict[str, Decoder] = {each.name: each for each in (*FILES, *KEPT, *EXAMPLES, *WIRE, *STATE, *TOKENS)}
