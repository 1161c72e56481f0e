"""hr.text: split texts into words, look words up, and make rows of numbers of them."""

from .pipeline.text.casing import lower
from .pipeline.text.hashing import to_hash_bucket
from .pipeline.text.joining import ngrams
from .pipeline.text.packing import pack
from .pipeline.text.splitting import regex_split, split
from .pipeline.text.vocabulary import Vocabulary

__all__ = ["split", "regex_split", "lower", "ngrams", "to_hash_bucket", "Vocabulary", "pack"]
