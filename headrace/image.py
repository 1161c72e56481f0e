"""hr.image: decode to a size, cut, turn and recolour images, at random where a generator is given."""

from .pipeline.colours import (
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    adjust_hue,
    adjust_saturation,
    grayscale_to_rgb,
    random_brightness,
    random_contrast,
    random_hue,
    random_saturation,
    rgb_to_grayscale,
)
from .pipeline.cropping import (
    central_crop,
    crop_to_bounding_box,
    pad_to_bounding_box,
    random_crop,
    random_resized_crop,
    resize_with_crop_or_pad,
    resize_with_pad,
)
from .pipeline.erasing import cutout, random_cutout
from .pipeline.flipping import flip_left_right, flip_up_down, random_flip_left_right, random_flip_up_down, rot90
from .pipeline.pixels import convert_image_dtype
from .pipeline.resizing import decode_and_resize, resize
from .pipeline.rotating import random_rotation, rotate
from .pipeline.standardizing import normalize, per_image_standardization

__all__ = [
    "resize",
    "resize_with_pad",
    "resize_with_crop_or_pad",
    "decode_and_resize",
    "central_crop",
    "crop_to_bounding_box",
    "pad_to_bounding_box",
    "random_crop",
    "random_resized_crop",
    "flip_left_right",
    "flip_up_down",
    "rot90",
    "rotate",
    "random_flip_left_right",
    "random_flip_up_down",
    "random_rotation",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_saturation",
    "adjust_hue",
    "adjust_gamma",
    "random_brightness",
    "random_contrast",
    "random_saturation",
    "random_hue",
    "rgb_to_grayscale",
    "grayscale_to_rgb",
    "cutout",
    "random_cutout",
    "normalize",
    "per_image_standardization",
    "convert_image_dtype",
]
