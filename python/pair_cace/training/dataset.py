"""Structures, labels and neighbour lists of training data, kept on disk and read as needed.

A store is a folder of plain arrays, one behind the other for all structures, with a name that is a
hash of what it was made from: data files, label names, labels that all have, and cutoff. Reading maps the files into
memory, so that sets larger than memory train.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import torch

from ..data.graph import Graph
from ..data.labels import Labels
from ..data.reading import Frame, Keys, iter_frames, missing_label
from ..errors import CaceError
from ..files import check_input, sha256_of, umask

LAYOUT_VERSION = 4
Frames = Iterator[tuple[int, int, Frame]]  # number of the file, of the frame in it, frame
NAMING = "data.keys.{label}"  # where a config says what a label is called

# File name: (type, shape of one entry, "edges", "atoms" or "structures").
_ARRAYS = {
    "vectors": (np.float64, (3,), "edges"),  # Å
    "senders": (np.int32, (), "edges"),  # index within the structure
    "receivers": (np.int32, (), "edges"),
    "species": (np.int32, (), "atoms"),  # atomic numbers
    "forces": (np.float64, (3,), "atoms"),  # eV/Å; NaN where there is no label
    "volumes": (np.float64, (), "structures"),  # Å³; NaN where there is no cell
    "energies": (np.float64, (), "structures"),  # eV; NaN where there is no label
    "stresses": (np.float64, (3, 3), "structures"),  # eV/Å³; NaN where there is no label
    "weights": (np.float64, (), "structures"),
    "n_atoms": (np.int64, (), "structures"),
    "n_edges": (np.int64, (), "structures"),
    "origins": (np.int64, (2,), "structures"),  # number of the file, and of the frame in it
}


def _arrays_of(outputs: Collection[str]) -> dict[str, tuple[type, tuple[int, ...], str]]:
    """_ARRAYS, and the labels of outputs."""
    return _ARRAYS | {_output_file(name): (np.float64, (), "atoms") for name in outputs}


def _output_file(name: str) -> str:
    return f"output_{name}"


_CONFIG_TYPES = "config_types.json"  # a word, or null, for every structure
_REMARKS = "remarks.json"  # {text: [number of structures, the first of them]}


class GraphStore:
    """Graphs and labels of a list of files, on disk."""

    def __init__(self, folder: pathlib.Path, outputs: Collection[str] = ()):
        """Open a store that ``open_or_build`` has made, with labels of ``outputs``."""
        self.name = folder.name  # the hash of what it was made from
        self._arrays = {}
        self.outputs = tuple(outputs)
        for name, (dtype, shape, _) in _arrays_of(outputs).items():
            file = folder / f"{name}.bin"
            if file.stat().st_size == 0:  # nothing to map: no edges at all
                self._arrays[name] = np.zeros((0, *shape), dtype)
            else:
                flat = np.memmap(file, dtype=dtype, mode="r")
                self._arrays[name] = flat.reshape(-1, *shape)
        self.n_atoms = np.array(self._arrays["n_atoms"])
        self.n_edges = np.array(self._arrays["n_edges"])
        self.config_types: list[str | None] = json.loads((folder / _CONFIG_TYPES).read_text())
        self.remarks: dict[str, list[int]] = json.loads((folder / _REMARKS).read_text())
        self.weights = np.array(self._arrays["weights"])
        self._first_atom = np.concatenate([[0], np.cumsum(self.n_atoms)])
        self._first_edge = np.concatenate([[0], np.cumsum(self.n_edges)])

    def __len__(self) -> int:
        return len(self.n_atoms)

    def species_of(self, structure: int) -> np.ndarray:
        """Atomic numbers of one structure."""
        return self._arrays["species"][self._atoms(structure)]

    def origin_of(self, structure: int) -> tuple[int, int]:
        """Number of the file that one structure is from, and of the frame in it; both from 0."""
        return tuple(self._arrays["origins"][structure].tolist())

    def with_stress(self, structures: np.ndarray) -> np.ndarray:
        """Those of some structures that have a label for the stress."""
        return structures[np.isfinite(self._arrays["stresses"][structures]).all(axis=(1, 2))]

    def without_forces(self, structures: np.ndarray) -> np.ndarray:
        """Those of some structures that have several atoms and no label for the forces."""
        first_atoms = self._arrays["forces"][self._first_atom[structures], 0]
        return structures[np.isnan(first_atoms) & (self.n_atoms[structures] > 1)]

    def energies(self, structures: np.ndarray) -> np.ndarray:
        """(S,) labels of some structures, eV; NaN where there is none."""
        return np.array(self._arrays["energies"][structures])

    def forces_of(self, structure: int) -> np.ndarray:
        """(N, 3) labels of one structure, eV/Å; NaN where there are none."""
        return self._arrays["forces"][self._atoms(structure)]

    def output_of(self, name: str, structure: int) -> np.ndarray:
        """(N,) labels of an output in one structure; NaN where there are none."""
        return self._arrays[_output_file(name)][self._atoms(structure)]

    def label_counts(self, structures: np.ndarray) -> np.ndarray:
        """(3,) how many energies, force components and stress components some structures have."""
        forces = sum(np.isfinite(self.forces_of(k)).sum() for k in structures)
        return np.array([
            np.isfinite(self._arrays["energies"][structures]).sum(),
            forces,
            np.isfinite(self._arrays["stresses"][structures]).sum(),
        ])  # fmt: skip

    def isolated_atoms(self) -> np.ndarray:
        """Structures of one atom that has no neighbours, not even its images."""
        return np.flatnonzero((self.n_atoms == 1) & (self.n_edges == 0))

    def batch(self, structures: Sequence[int]) -> tuple[Graph, Labels]:
        """Graph and labels of some structures side by side."""
        graph = Graph.joined([self._graph(k) for k in structures])
        chosen = np.asarray(structures)
        forces = [self._arrays["forces"][self._atoms(k)] for k in structures]
        labels = Labels(
            energies=torch.from_numpy(self._arrays["energies"][chosen]),
            forces=torch.from_numpy(np.concatenate(forces)),
            stresses=torch.from_numpy(self._arrays["stresses"][chosen]),
            weights=torch.from_numpy(self.weights[chosen]),
            outputs={
                name: torch.from_numpy(
                    np.concatenate([self.output_of(name, k) for k in structures])
                )
                for name in self.outputs
            },
        )
        return graph, labels

    def _atoms(self, structure: int) -> slice:
        return slice(self._first_atom[structure], self._first_atom[structure + 1])

    def _graph(self, structure: int) -> Graph:
        edges = slice(self._first_edge[structure], self._first_edge[structure + 1])
        species = self.species_of(structure)
        return Graph(
            vectors=torch.from_numpy(np.array(self._arrays["vectors"][edges])),
            senders=torch.from_numpy(self._arrays["senders"][edges].astype(np.int64)),
            receivers=torch.from_numpy(self._arrays["receivers"][edges].astype(np.int64)),
            species=torch.from_numpy(species.astype(np.int64)),
            structure=torch.zeros(len(species), dtype=torch.int64),
            volumes=torch.from_numpy(np.array(self._arrays["volumes"][structure : structure + 1])),
        )


def open_or_build(
    files: Sequence[pathlib.Path],
    keys: Keys,
    cutoff: float,
    cache: pathlib.Path,
    require: Collection[str],
) -> GraphStore:
    """The store of ``files`` in the folder ``cache``, made now if it is not there.

    require   "energy" if all frames must have one; "forces" if one at least must have them
    Raises CaceError for frames that cannot be used (see ``data.reading``), and if ``cache`` cannot.
    """
    folder = cache / content_hash(files, keys, cutoff, require)
    try:
        if not _is_whole(folder, keys):
            _build(folder, _frames(files, keys, require), keys, cutoff)
        return GraphStore(folder, keys.outputs)
    except OSError as error:
        raise CaceError(
            f"cannot keep neighbour lists in {cache}: {error.strerror or error}; make room or get "
            "access, or name another folder with data.cache"
        ) from error


def _is_whole(folder: pathlib.Path, keys: Keys) -> bool:
    names = [f"{name}.bin" for name in _arrays_of(keys.outputs)] + [_CONFIG_TYPES, _REMARKS]
    return all((folder / name).is_file() for name in names)


def _build(folder: pathlib.Path, frames: Frames, keys: Keys, cutoff: float) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    try:
        _write(temporary, frames, keys, cutoff)
        temporary.chmod(0o777 & ~umask())  # mkdtemp makes it for its user alone
        if folder.is_dir() and not _is_whole(folder, keys):  # clean-ups of old files leave such
            shutil.rmtree(folder)
        try:
            temporary.rename(folder)
        except OSError:
            if not _is_whole(folder, keys):  # made by another run in the meantime
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def content_hash(
    files: Sequence[pathlib.Path], keys: Keys, cutoff: float, require: Collection[str]
) -> str:
    """Name of the store: 24 hexadecimal digits of SHA-256 over everything it depends on."""
    # Runs without outputs go on with the stores that they began with.
    names = keys.of_frames | ({"outputs": dict(keys.outputs)} if keys.outputs else {})
    settings = [LAYOUT_VERSION, names, cutoff, sorted(require)]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for file in files:
        check_input(file)
        digest.update(bytes.fromhex(sha256_of(file)))
    return digest.hexdigest()[:24]


def _frames(files: Sequence[pathlib.Path], keys: Keys, require: Collection[str]) -> Frames:
    without_forces: Frame | None = None
    some_have_forces = False
    for file_number, file in enumerate(files):
        frames = iter_frames(file, keys, set(require) & {"energy"}, naming=NAMING)
        for frame_number, frame in enumerate(frames):
            some_have_forces |= frame.forces is not None
            if frame.forces is None and len(frame.atoms) > 1:
                without_forces = without_forces or frame
            yield file_number, frame_number, frame
    if "forces" in require and without_forces and not some_have_forces:
        raise CaceError(missing_label(without_forces, "forces", keys, NAMING))


def _write(folder: pathlib.Path, frames: Frames, keys: Keys, cutoff: float) -> None:
    arrays = _arrays_of(keys.outputs)
    streams = {name: open(folder / f"{name}.bin", "wb") for name in arrays}
    config_types: list[str | None] = []
    remarks: dict[str, list[int]] = {}
    try:
        for file_number, frame_number, frame in frames:
            entries = _entries(frame, cutoff)
            entries["origins"] = np.array([file_number, frame_number])
            for name, values in entries.items():
                np.ascontiguousarray(values, dtype=arrays[name][0]).tofile(streams[name])
            for remark in frame.remarks:
                remarks.setdefault(remark, [0, len(config_types)])[0] += 1
            config_types.append(frame.config_type)
    finally:
        for stream in streams.values():
            stream.close()
    (folder / _CONFIG_TYPES).write_text(json.dumps(config_types))
    (folder / _REMARKS).write_text(json.dumps(remarks))


def _entries(frame: Frame, cutoff: float) -> dict[str, np.ndarray]:
    graph, labels = Graph.of(frame.atoms, cutoff), Labels.of(frame)
    return {
        "vectors": graph.vectors.numpy(),
        "senders": graph.senders.numpy(),
        "receivers": graph.receivers.numpy(),
        "species": graph.species.numpy(),
        "forces": labels.forces.numpy(),
        "volumes": graph.volumes.numpy(),
        "energies": labels.energies.numpy(),
        "stresses": labels.stresses.numpy(),
        "weights": labels.weights.numpy(),
        "n_atoms": np.array([graph.n_atoms]),
        "n_edges": np.array([graph.senders.shape[0]]),
    } | {_output_file(name): values.numpy() for name, values in labels.outputs.items()}
