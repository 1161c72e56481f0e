"""hr.image: resize images and change them at random."""

from .pipeline.cropping import random_crop
from .pipeline.flipping import random_flip_left_right
from .pipeline.resizing import decode_and_resize, resize

__all__ = ["resize", "decode_and_resize", "random_crop", "random_flip_left_right"]
