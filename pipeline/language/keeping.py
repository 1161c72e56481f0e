"""What keeps elements."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ..compression import check_compression
from ..covering import Covering
from ..element_records import encoded
from ..errors import InvalidArgumentError
from ..functions import UserFunction
from ..loading import loaded
from ..manifest import read_manifest, wait_for
from ..nodes import Decoded, Node, Records, Shelf, Snapshot, Tagged
from ..saving import Sharding, Writing
from ..structure import flatten
from ..tags import NUMBER
from .chapter import Chapter

if TYPE_CHECKING:
    from ..dataset import Dataset
    from ..iterator import Running

__all__ = ["Keeping"]


class Keeping(Chapter):
    """What keeps elements."""

    def save(
        self,
        path: str | os.PathLike[str],
        compression: str | None = None,
        shard_func: Callable[..., Any] | None = None,
        checkpoint_args: None = None,
        *,
        service: Running | None = None,
    ) -> None:
        """Write the elements of the next pass to a folder, from which `load` reads them.

        What the folder held before is replaced once all is written; a save that is interrupted changes nothing of it.
        docs/formats.md has the format. The elements are computed here, or on a `service`, and written here.

        Args:
            compression: "", "GZIP" or "ZLIB". What is not compressed is found by number: see `load`.
            shard_func: from an element, spread over its arguments as for `map`, to the number of its file, from 0 on.
            checkpoint_args: only None: a save that was interrupted is begun anew.

        Raises:
            NotFoundError: the folder cannot be written.
            HeadraceError: what an element fails with; nothing is saved then. `ignore_errors()` leaves it out.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Dataset.range(5).map(lambda x: (x, x * x)).save(folder)
        ...     list(Dataset.load(folder).skip(3))
        [(np.int64(3), np.int64(9)), (np.int64(4), np.int64(16))]
        """
        if checkpoint_args is not None:
            raise InvalidArgumentError("save: checkpoint_args can only be None: an interrupted save is begun anew")
        shard_of = None if shard_func is None else Sharding(UserFunction.of(shard_func, "shard_func"))
        writing, covering = Writing(os.fspath(path), check_compression(compression)), Covering()
        with closing(self._next_pass(service)) as iterator:
            try:
                writing.begin()
                for element in iterator:
                    components, structure = flatten(element)
                    covering.add(components, structure)
                    writing.add(encoded(components, structure), 0 if shard_of is None else shard_of(element))
                writing.finish(covering.spec if covering.structure is not None else self._spec_to_check(False))
            except BaseException:
                writing.abort()
                raise

    def snapshot(
        self,
        path: str | os.PathLike[str],
        compression: str | None = "AUTO",
        reader_func: Callable[[Dataset], Dataset] | None = None,
        shard_func: Callable[..., Any] | str | None = None,
        name: str | None = None,
    ) -> Dataset:
        """The elements of the first pass, kept in files while they pass, and read from there in those that follow.

        They are kept once a pass has come to its end without a failure, in a folder in `path` of this pipeline: of its
        operators, arguments, functions and `Options.seed`. Who runs the same again, also in another process, reads
        them from the start; another pipeline has another folder. As for `cache`, what is below is computed as in the
        first pass in each that is not read, so that both give the same. A pass that was not read to its end keeps
        nothing. In a service the server writes, and workers read. In a dataset that a function makes nothing is kept.

        Args:
            compression: "AUTO", None and "" are none, so that files can be cut for workers; or "GZIP", "ZLIB".
            reader_func: from a dataset that has a dataset for each file to the elements, as of `load`. Passes that
                are read come in its order.
            shard_func: from an element, spread over its arguments, to the number of its file, from 0 on. Passes that
                are read come file after file.

        Raises (when iterated):
            FileError: a server must not write there.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     dataset = Dataset.range(5).map(lambda x: print("computing", x) or x * x).batch(5).snapshot(folder)
        ...     [batch.tolist() for _ in range(2) for batch in dataset]
        computing 0
        computing 1
        computing 2
        computing 3
        computing 4
        [[0, 1, 4, 9, 16], [0, 1, 4, 9, 16]]
        """
        folder = os.fspath(path)
        packed = check_compression("" if compression == "AUTO" else compression)
        if not folder or "\0" in folder:
            raise InvalidArgumentError(f"snapshot: path is {folder!r}: it must name a folder")
        kept = self.node
        if shard_func is not None:
            kept = Tagged(kept, UserFunction.of(shard_func, "shard_func"), NUMBER)
        if reader_func is None:
            reader: Node = Decoded(Records(Shelf(folder), packed))
        else:
            given = self._made(Shelf(folder, apart=True))
            reader = self._dataset("snapshot: reader_func", reader_func(given)).node
        return self._made(Snapshot((kept, reader), folder, packed))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        element_spec: Any = None,
        compression: str | None = None,
        reader_func: Callable[[Dataset], Dataset] | None = None,
        wait: bool = False,
    ) -> Dataset:
        """The elements that `save` wrote to a folder, file after file.

        The number of elements is known. Unless they are compressed, they are found by number: `take`, `skip` and
        `shard` move no data, and `global_shuffle` is possible.

        Args:
            element_spec: what was saved, if given, must fit it.
            compression: what was saved, if given, must have it.
            reader_func: from a dataset that has a dataset for each file, in the order of their numbers, to the
                elements: `lambda files: files.shuffle(8).interleave(lambda file: file)`.
            wait: until a save has been finished, where none has, rather than raise; at most ten minutes in which
                nothing is written there.

        Raises:
            NotFoundError: there is nothing that was saved.
            FailedPreconditionError: a save to there has not been finished; it goes on, or was interrupted.
            DataLossError: what says what was saved is damaged; when iterated, a damaged record, with file and place.
            InvalidArgumentError: another spec or compression.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Dataset.range(6).save(folder, shard_func=lambda x: x % 2)
        ...     [int(x) for x in Dataset.load(folder)]
        [0, 2, 4, 1, 3, 5]
        """
        folder = os.fspath(path)
        found = wait_for(folder) if wait else read_manifest(folder)
        node = loaded(folder, found, element_spec, compression, reader_func is not None)
        if reader_func is None:
            return cls._made(node)
        return cls._dataset("load: reader_func", reader_func(cls._made(node)))
