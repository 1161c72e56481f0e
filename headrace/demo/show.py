"""What the demo shows on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..pipeline.summary import Summary
from .photos import Photograph
from .training import Score

__all__ = ["Show"]


class Show:
    """A terminal view of one run."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, highlight=False, soft_wrap=True)

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
        progress = Progress(*columns, console=self.console)
        task = progress.add_task("", total=None)

        def made(done: int, total: int) -> None:
            progress.start()
            progress.update(task, completed=done, total=total)

        try:
            yield made
        finally:
            if progress.live.is_started:
                progress.stop()

    @contextmanager
    def epoch(self, number: int, epochs: int, images: int) -> Iterator[Callable[[Score], None]]:
        """A bar over the images of one epoch, with the score so far."""
        score = TextColumn("{task.fields[score]}")
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), score
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(f"epoch {number + 1} of {epochs}", total=images, score="")
            yield lambda score: progress.update(task, completed=score.images, score=_line(score))

    def epoch_ended(self, summary: Summary) -> None:
        """The end as the service counted it, and who waited for whom."""
        share = summary.waited_s / max(summary.seconds, 1e-9)
        self.say(
            f"  ended after {summary.batches:,} batches; for data the trainer waited {summary.waited_s:.2f} s "
            f"of {summary.seconds:.2f} s ({share:.0%})"
        )

    def stopped(self, seconds: float, left_behind: Path | None) -> None:
        """How the service ended."""
        outcome = "nothing of it is left" if left_behind is None else f"[red]{left_behind} is left behind[/]"
        self.say(f"Stopped in {seconds:.1f} s: server and workers have ended, {outcome}.")

    def verdict(self, accuracy: float, chance: float, enough: float, crops: int) -> None:
        """How well the classifier does on crops that it has not seen."""
        colour, word = ("green", "passes") if accuracy >= enough else ("red", "fails")
        self.say(
            f"Held-back crops: [bold {colour}]{accuracy:.1%}[/] of {crops:,} right; chance is {chance:.1%}, "
            f"{enough:.1%} is asked for: [bold {colour}]{word}[/]"
        )


def _line(score: Score) -> str:
    return f"loss {score.loss:.3f}  accuracy {score.accuracy:5.1%}  {score.rate:7,.0f} images/s"
