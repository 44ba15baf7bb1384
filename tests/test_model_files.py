"""Checkpoints, exports and published models: round trips and every way to be a bad file."""

import json
import os
import pathlib
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from helpers import KINDS, PUBLISHED, assert_close, predict_atoms, random_model, settings_of
from pair_cace.cli.convert import convert_model
from pair_cace.cli.export import export_checkpoint
from pair_cace.errors import CaceError
from pair_cace.io import checkpoint as checkpoint_module
from pair_cace.io import exported, restricted_pickle
from pair_cace.io.checkpoint import load_checkpoint, save_checkpoint
from pair_cace.io.exported import load_exported
from pair_cace.io.loading import load_model
from pair_cace.io.published import read_published
from published_lookalike import lookalike, names_of_the_original, part
from systems import SYSTEMS
from torch import nn

from pair_cace import _core


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint of a small float64 model with message passing."""
    settings = settings_of("T2-all")
    path = tmp_path / "small.cace.pt"
    save_checkpoint(path, random_model(settings), settings, {"made_by": "test"})
    return path


@pytest.fixture
def export(checkpoint, tmp_path):
    path = tmp_path / "small.pt"
    export_checkpoint(checkpoint, path, None)
    return path


def write_published(path, kind="T2-all", dtype=torch.float32, **changes):
    settings = settings_of(kind)
    model = random_model(settings, dtype=dtype)
    with names_of_the_original():
        torch.save(lookalike(model, settings, **changes), path)
    return model, settings


# ---- round trips -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_a_checkpoint_gives_back_the_same_model(tmp_path, kind, dtype):
    settings = settings_of(kind)
    model = random_model(settings, dtype=dtype)
    save_checkpoint(tmp_path / "m.cace.pt", model, settings, {"why": "test"})
    loaded, info = load_checkpoint(tmp_path / "m.cace.pt")
    assert info.hyperparameters == settings
    assert info.provenance == {"why": "test"}
    assert loaded.dtype == dtype
    before, after = (predict_atoms(m, SYSTEMS["liquid"]()) for m in (model, loaded))
    assert torch.equal(before.forces, after.forces)
    assert torch.equal(before.atom_energies, after.atom_energies)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_export_agrees_with_its_checkpoint(tmp_path, kind, dtype):
    settings = settings_of(kind)
    model = random_model(settings)
    save_checkpoint(tmp_path / "m.cace.pt", model, settings, {})
    export_checkpoint(tmp_path / "m.cace.pt", tmp_path / "m.pt", dtype)
    loaded, info = load_exported(tmp_path / "m.pt")
    assert info.hyperparameters == settings and info.dtype == dtype
    assert info.E0 == {"H": -1.5, "O": -3.0}
    before, after = (predict_atoms(m, SYSTEMS["liquid"]()) for m in (model, loaded))
    assert_close(after.forces, before.forces, getattr(torch, dtype))


def test_metadata_of_an_export_is_plain_text(export):
    with zipfile.ZipFile(export) as archive:
        extra = {
            pathlib.PurePath(name).name: archive.read(name).decode()
            for name in archive.namelist()
            if "/extra/" in name
        }
    assert extra["format_version"] == str(_core.model_format_version)
    assert extra["elements"] == "H O"
    assert extra["cutoff"] == "3.5"
    assert extra["n_layers"] == "2"
    assert (extra["length_unit"], extra["energy_unit"]) == ("angstrom", "eV")
    provenance = json.loads(extra["provenance"])
    assert provenance["made_by"] == "test"
    assert provenance["exported_by"].startswith(f"pair_cace {_core.version}, torch ")


@pytest.mark.parametrize("kind", [kind for kind in PUBLISHED if kind != "zbl"])
@pytest.mark.parametrize("reverse_elements", [False, True], ids=["H-O", "O-H"])
def test_published_models_of_every_kind_convert(tmp_path, kind, reverse_elements):
    path = tmp_path / "published.pth"
    model, settings = write_published(path, kind, reverse_elements=reverse_elements)
    converted, found = read_published(tmp_path / "published.pth")
    expected = settings.model_dump()
    if settings.n_layers == 0:
        expected["messages"] = ("Bchi",)
    assert found.model_dump() == expected
    before, after = (predict_atoms(m, SYSTEMS["liquid"]()) for m in (model, converted))
    assert_close(after.forces, before.forces)  # E0 is not part of published files


def test_published_models_in_float64_stay_so(tmp_path):
    model, _ = write_published(tmp_path / "published.pth", dtype=torch.float64)
    converted, _ = read_published(tmp_path / "published.pth")
    assert converted.dtype == torch.float64
    before, after = (predict_atoms(m, SYSTEMS["liquid"]()) for m in (model, converted))
    assert torch.equal(after.forces, before.forces)


def test_convert_sets_reference_energies(tmp_path):
    write_published(tmp_path / "published.pth")
    convert_model(tmp_path / "published.pth", tmp_path / "m.cace.pt", {"O": -2.0, "H": -1.0})
    _, info = load_checkpoint(tmp_path / "m.cace.pt")
    assert info.E0 == {"H": -1.0, "O": -2.0}
    assert info.provenance["converted_from"] == "published.pth"


# ---- hostile and unknown pickles -------------------------------------------------------------


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def write_raw_pickle(path, content: bytes) -> None:
    """A torch archive around a pickle of one's own."""
    torch.save({}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, content if name.endswith("data.pkl") else data)


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path):
    witness = tmp_path / "it-ran"
    path = tmp_path / "evil.pth"
    write_raw_pickle(path, pickle.dumps(Hostile(f"touch {witness}"), protocol=2))
    with pytest.raises(CaceError, match=r"asks to load 'posix.system', which no published model"):
        read_published(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    "module, name",
    [("builtins", "eval"), ("builtins", "getattr"), ("torch._utils", "_rebuild_from_type_v2"),
     ("torch.serialization", "load"), ("collections", "OrderedDict.__class__"), ("os", "system")],
)  # fmt: skip
def test_no_other_name_can_be_loaded(tmp_path, module, name):
    path = tmp_path / "evil.pth"
    write_raw_pickle(path, pickle.PROTO + b"\x02" + f"c{module}\n{name}\n.".encode())
    with pytest.raises(CaceError, match=f"asks to load '{module}.{name}'"):
        read_published(path)


def test_a_hostile_pickle_cannot_change_the_functions_it_may_call(tmp_path):
    path = tmp_path / "evil.pth"
    code = b"ctorch._utils\n_rebuild_tensor_v2\n}U\x0c__defaults__U\x01xsb."
    write_raw_pickle(path, pickle.PROTO + b"\x02" + code)
    before = torch._utils._rebuild_tensor_v2.__defaults__
    with pytest.raises(CaceError, match="damaged"):
        read_published(path)
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before


def test_a_part_that_we_do_not_have_is_named(tmp_path):
    with names_of_the_original():
        head = part("cace.modules.ewald.EwaldPotential", sigma=1.0)
        settings = settings_of("T0")
        torch.save(
            lookalike(random_model(settings), settings, output_modules=[head]), tmp_path / "lr.pth"
        )
    with pytest.raises(CaceError, match="needs 'cace.modules.ewald.EwaldPotential', a piece that"):
        read_published(tmp_path / "lr.pth")


@pytest.mark.parametrize(
    "setting, value", [("n_out", 4), ("aggregation_mode", "avg"), ("feature_key", "other")]
)
def test_a_setting_that_we_do_not_have_is_named(tmp_path, setting, value):
    with names_of_the_original():
        settings = settings_of("T0")
        potential = lookalike(random_model(settings), settings)
        setattr(potential.output_modules[0], setting, value)
        torch.save(potential, tmp_path / "other.pth")
    with pytest.raises(CaceError, match=f"its readout has {setting}={value}"):
        read_published(tmp_path / "other.pth")


def test_a_cutoff_function_that_ends_elsewhere_is_refused(tmp_path):
    write_published(tmp_path / "odd.pth", cutoff=settings_of("T0").cutoff + 1.0)
    with pytest.raises(CaceError, match="its cutoff function ends elsewhere than its cutoff"):
        read_published(tmp_path / "odd.pth")


class WritesWhenLoaded(nn.Module):
    """TorchScript may run code when it is loaded."""

    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return (self.path, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.path = state[0]
        self.training = state[1]
        torch.from_file(self.path, shared=True, size=4, dtype=torch.uint8).fill_(88)


def test_torchscript_is_refused_and_not_run(tmp_path):
    victim = tmp_path / "precious"
    victim.write_text("precious")
    torch.jit.script(WritesWhenLoaded(str(victim))).save(str(tmp_path / "evil.pth"))
    with pytest.raises(CaceError, match="is TorchScript of something else"):
        read_published(tmp_path / "evil.pth")
    assert victim.read_text() == "precious"


def test_torchscript_in_disguise_is_refused_and_not_run(tmp_path, monkeypatch):
    victim = tmp_path / "precious"
    victim.write_text("precious")
    torch.jit.script(WritesWhenLoaded(str(victim))).save(str(tmp_path / "evil.pth"))
    # An archive may look different to zipfile and to torch; torch's view decides.
    monkeypatch.setattr(restricted_pickle, "expect_kind", lambda *arguments: "published")
    with pytest.raises(CaceError, match="TorchScript in disguise"):
        read_published(tmp_path / "evil.pth")
    assert victim.read_text() == "precious"


def test_a_model_with_parts_missing_is_refused(tmp_path):
    write_published(tmp_path / "broken.pth", radial_transform=None)
    with pytest.raises(CaceError, match="expected SharedRadialLinearTransform as its radial tran"):
        read_published(tmp_path / "broken.pth")


def test_a_state_dict_is_not_a_model(tmp_path):
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "state.pth")
    with pytest.raises(CaceError, match="a state_dict alone does not say what model"):
        read_published(tmp_path / "state.pth")


# ---- files that are something else ------------------------------------------------------------


def cut_short(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def test_files_cut_short(checkpoint, export, tmp_path):
    write_published(tmp_path / "published.pth")
    with pytest.raises(CaceError, match="was cut short"):
        read_published(cut_short(tmp_path / "published.pth"))
    with pytest.raises(CaceError, match="was cut short"):
        load_checkpoint(cut_short(checkpoint))
    with pytest.raises(CaceError, match="was cut short"):
        load_exported(cut_short(export))


def test_files_of_another_kind(tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(CaceError, match="is a torch file without a model"):
        load_model(tmp_path / "other.pt")
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    with pytest.raises(CaceError, match="is TorchScript of something else"):
        load_model(tmp_path / "script.pt")
    with pytest.raises(CaceError, match="there is no such file"):
        load_model(tmp_path / "absent.pt")
    write_published(tmp_path / "published.pth")
    with pytest.raises(
        CaceError, match="by the original implementation; `cace convert .*` makes a ch"
    ):
        load_model(tmp_path / "published.pth")


def test_the_wrong_kind_comes_with_the_next_command(checkpoint, export):
    with pytest.raises(
        CaceError, match="is a checkpoint; `cace export .*` makes a model for LAMMPS"
    ):
        read_published(checkpoint)
    for read in (read_published, load_checkpoint):
        with pytest.raises(CaceError, match="is an exported model; it is used as it is"):
            read(export)
    with pytest.raises(CaceError, match="expected an exported model, but .* is a checkpoint"):
        load_exported(checkpoint)


@pytest.mark.parametrize("text", ["hello", "LAMMPS data\n\n3 atoms\n", "", "pair_style cace\n"])
def test_text_files(tmp_path, text):
    (tmp_path / "m.pt").write_text(text)
    with pytest.raises(CaceError, match="is not a model file, or was cut short"):
        load_model(tmp_path / "m.pt")


def test_flipped_bits(checkpoint, export):
    for path in (checkpoint, export):
        with zipfile.ZipFile(path) as archive:
            largest = max(archive.infolist(), key=lambda entry: entry.compress_size)
        data = bytearray(path.read_bytes())
        data[largest.header_offset + 200 + largest.compress_size // 2] ^= 0x40
        path.write_bytes(data)
        with pytest.raises(CaceError, match="is damaged: wrong checksum of"):
            load_model(path)


def test_a_checkpoint_changed_by_hand(checkpoint):
    content = torch.load(checkpoint, weights_only=True)
    content["hyperparameters"]["n_radial"] = 5
    torch.save(content, checkpoint)
    with pytest.raises(CaceError, match="is damaged or was changed by hand"):
        load_checkpoint(checkpoint)


def test_another_format_version(checkpoint, export, monkeypatch):
    monkeypatch.setattr(checkpoint_module, "FORMAT_VERSION", 98)
    with pytest.raises(CaceError, match=r"expected checkpoint format 98 in .*, got format 1"):
        load_checkpoint(checkpoint)
    monkeypatch.setattr(_core, "model_format_version", 99)
    with pytest.raises(CaceError, match=r"expected format 99 in .*, got format 3"):
        load_exported(export)


@pytest.mark.parametrize("device", ["gpu", "mps"])
def test_a_device_that_does_not_exist(checkpoint, device):
    with pytest.raises(CaceError, match=f"expected the device cpu or cuda, got '{device}'"):
        load_model(checkpoint, device=device)


def test_a_device_that_is_not_there(checkpoint):
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(CaceError, match="expected a CUDA device"):
        load_model(checkpoint, device="cuda")


# ---- writing ----------------------------------------------------------------------------------


def test_an_export_that_disagrees_is_not_written(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(exported, "AGREEMENT", {"float32": 0.0, "float64": 0.0})
    target = tmp_path / "out" / "m.pt"
    target.parent.mkdir()
    target.write_text("an older model")
    with pytest.raises(CaceError, match="try --dtype float64"):
        export_checkpoint(checkpoint, target, "float32")
    assert [file.name for file in target.parent.iterdir()] == ["m.pt"]
    assert target.read_text() == "an older model"


def test_an_export_leaves_the_model_alone(tmp_path):
    settings = settings_of("T0")
    model = random_model(settings)
    save_checkpoint(tmp_path / "m.cace.pt", model, settings, {})
    _, info = load_checkpoint(tmp_path / "m.cace.pt")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    exported.export_model(model, info, tmp_path / "m.pt", "float32")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_writing_onto_a_folder(checkpoint, tmp_path):
    with pytest.raises(CaceError, match="it is a folder; give the name of a file"):
        export_checkpoint(checkpoint, tmp_path, None)


def test_writing_into_a_folder_that_is_not_there(checkpoint, tmp_path):
    with pytest.raises(CaceError, match="does not exist; create it first"):
        export_checkpoint(checkpoint, tmp_path / "nowhere" / "m.pt", None)


def test_an_export_does_not_overwrite_its_checkpoint(checkpoint):
    with pytest.raises(CaceError, match="it is read by this command; give another name"):
        export_checkpoint(checkpoint, checkpoint, None)


@pytest.mark.slow
def test_a_portable_export_runs_without_our_package(checkpoint, tmp_path):
    export = tmp_path / "portable.pt"
    export_checkpoint(checkpoint, export, None, portable=True)
    # The graph is plain torch; nothing of pair_cace is needed to run it.
    script = tmp_path / "alone.py"
    script.write_text(
        "import sys, torch\n"
        "sys.modules['pair_cace'] = None\n"
        f"model = torch.jit.load({str(export)!r})\n"
        "r = torch.tensor([[1.0, 0.2, 0.0], [-1.0, -0.2, 0.0]], dtype=torch.float64)\n"
        "i = torch.tensor([0, 1])\n"
        "print(model(r, i, 1 - i, torch.tensor([8, 1]), 2).sum().item())\n"
    )
    run = subprocess.run([sys.executable, "-W", "ignore", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert np.isfinite(float(run.stdout))
