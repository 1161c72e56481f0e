"""headrace: input pipelines that run beside your training loop."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .names import *  # noqa: F403  (the names stand there, once)
    from .names import __all__ as __all__
else:

    def __getattr__(name: str) -> Any:
        """A public name, on first use: `headrace version` and `--help` do not wait for NumPy and numba."""
        if name.startswith("_") and name != "__all__":
            raise AttributeError(f"module 'headrace' has no attribute {name!r}")
        from importlib import import_module

        names = import_module(".names", __name__)
        try:
            found = getattr(names, name)
        except AttributeError:
            raise AttributeError(f"module 'headrace' has no attribute {name!r}") from None
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
