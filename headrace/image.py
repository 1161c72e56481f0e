"""hr.image: resize images and change them at random."""

from .pipeline.augment import random_crop, random_flip_left_right
from .pipeline.resizing import decode_and_resize, resize

__all__ = ["resize", "decode_and_resize", "random_crop", "random_flip_left_right"]
