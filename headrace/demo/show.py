"""What the demo shows on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .photos import Photograph
from .training import Score

__all__ = ["Show"]


class Show:
    """A terminal view of one run."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, highlight=False)

    def photographs(self, photographs: Sequence[Photograph]) -> None:
        """Which photographs, from where, under which licence."""
        table = Table(title="Photographs", title_justify="left", box=None, padding=(0, 2, 0, 0))
        for heading in ("name", "from the package", "by", "licence"):
            table.add_column(heading)
        for each in photographs:
            table.add_row(each.name, each.package, each.by, each.licence)
        self.console.print(table)

    @contextmanager
    def generation(self) -> Iterator[Callable[[int, int], None]]:
        """A bar that appears with the first crop, if any has to be made."""
        columns = TextColumn("making crops"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task("", total=None, visible=False)
            yield lambda done, total: progress.update(task, completed=done, total=total, visible=True)

    @contextmanager
    def epoch(self, number: int, epochs: int, images: int) -> Iterator[Callable[[Score], None]]:
        """A bar over the images of one epoch, with the score so far."""
        score = TextColumn("{task.fields[score]}")
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), score
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(f"epoch {number + 1} of {epochs}", total=images, score="")
            yield lambda score: progress.update(task, completed=score.images, score=_line(score))

    def verdict(self, accuracy: float, chance: float, enough: float, crops: int) -> None:
        """How well the classifier does on crops that it has not seen."""
        colour, word = ("green", "passes") if accuracy >= enough else ("red", "fails")
        self.say(
            f"Held-back crops: [bold {colour}]{accuracy:.1%}[/] of {crops:,} right; chance is {chance:.1%}, "
            f"{enough:.1%} is asked for: [bold {colour}]{word}[/]"
        )


def _line(score: Score) -> str:
    return f"loss {score.loss:.3f}  accuracy {score.accuracy:5.1%}  {score.rate:7,.0f} images/s"
