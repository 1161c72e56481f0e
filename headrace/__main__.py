"""The command line: `headrace` and `python -m headrace`."""

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    # Imported late: what the service starts goes through here, too, and must not wait for typer.
    from .commands import app

    app()


if __name__ == "__main__":
    main()
