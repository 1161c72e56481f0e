"""The photographs of the demo: which installed package brings each, and under which licence."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from ..pipeline.errors import NotFoundError

__all__ = ["PHOTOGRAPHS", "Photograph"]


@dataclass(frozen=True, slots=True)
class Photograph:
    """One photograph that ships in a Python package."""

    name: str
    package: str  #: As pip knows it.
    module: str  #: As Python imports it.
    file: str  #: Inside the module's folder.
    by: str
    licence: str  #: What the package's own texts say about this file.

    @property
    def path(self) -> Path:
        """Where the file lies on this machine; the package is looked up, not imported.

        Raises:
            NotFoundError: the package is not installed, or no longer brings this file.
        """
        found = find_spec(self.module)
        if found is None or found.origin is None:
            raise NotFoundError(self.file, f"the package {self.package} is missing: pip install 'headrace[demo]'")
        path = Path(found.origin).parent / self.file
        if not path.is_file():
            raise NotFoundError(str(path), f"this version of {self.package} does not bring it: install another one")
        return path

    def open(self) -> Image.Image:
        """Its pixels, in colour also where the photograph is grey."""
        with Image.open(self.path) as image:
            return image.convert("RGB")


def _scikit_image(file: str, by: str, licence: str) -> Photograph:
    return Photograph(Path(file).stem, "scikit-image", "skimage", f"data/{file}", by, licence)


def _scikit_learn(file: str, by: str) -> Photograph:
    return Photograph(Path(file).stem, "scikit-learn", "sklearn", f"datasets/images/{file}", by, "CC BY 2.0")


#: A label is a place in this tuple. The stereo pair and the moon of scikit-image are not here: the package
#: does not say under which terms they come.
PHOTOGRAPHS = (
    _scikit_image("astronaut.png", "NASA", "public domain"),
    _scikit_image("brick.png", "CC0Textures", "CC0"),
    _scikit_image("camera.png", "Lav Varshney", "CC0"),
    _scikit_image("chelsea.png", "Stefan van der Walt", "CC0"),
    _scikit_image("coffee.png", "Rachel Michetti", "CC0"),
    _scikit_image("grass.png", "linolafett", "CC0"),
    _scikit_image("gravel.png", "CC0Textures", "CC0"),
    _scikit_image("hubble_deep_field.jpg", "NASA", "public domain"),
    _scikit_image("retina.jpg", "Mikael Häggström", "CC0"),
    _scikit_image("rocket.jpg", "SpaceX", "public domain"),
    _scikit_learn("china.jpg", "danielbuechele"),
    _scikit_learn("flower.jpg", "vultilion"),
    Photograph(
        "grace_hopper",
        "matplotlib",
        "matplotlib",
        "mpl-data/sample_data/grace_hopper.jpg",
        "not stated",
        "of the package (PSF)",
    ),
)
