"""What is not collected: modules for frameworks that are not installed. `make test-adapters` installs them."""

from importlib.util import find_spec

collect_ignore = [
    path
    for framework in ("torch", "jax")
    if find_spec(framework) is None
    for path in (
        f"headrace/{framework}.py",
        f"tests/adapters/test_{framework}.py",
        f"tests/adapters/test_train_{framework}.py",
    )
]
