"""Files of the original implementation: wrappers that mean nothing, parts that we do not have."""

import pickle
import zipfile

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers import predict_atoms, random_model, settings_of
from pair_cace.cli import cace
from pair_cace.errors import CaceError
from pair_cace.io.checkpoint import load_checkpoint
from pair_cace.io.published import convert_published, read_published
from published_lookalike import combined, lookalike, names_of_the_original, part
from systems import SYSTEMS
from tolerances import FLOAT32_ROUNDING
from torch import nn

MODULES = "cace.modules."


def saved(path, change=lambda potential: potential, kind="T0", **settings_changes):
    """The model and its settings, after a lookalike of it, changed by ``change``, was written."""
    settings = settings_of(kind, **settings_changes)
    model = random_model(settings, dtype=torch.float32)
    with names_of_the_original():
        torch.save(change(lookalike(model, settings)), path)
    return model, settings


def forces_of(model):
    return predict_atoms(model, SYSTEMS["liquid"]()).forces


def changed(**attributes):
    """A change that sets attributes, with dots for those of parts: output_modules__0__n_out=2."""

    def change(potential):
        for path, value in attributes.items():
            *parts, name = path.split("__")
            owner = potential
            for step in parts:
                owner = owner[int(step)] if step.isdigit() else getattr(owner, step)
            setattr(owner, name, value() if callable(value) else value)
        return potential

    return change


def refusal(path):
    with pytest.raises(CaceError) as caught:
        read_published(path)
    text = str(caught.value)
    assert "no published model does" not in text and "other programs" not in text
    return text


# ---- what changes nothing ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        combined,
        lambda potential: combined(potential, operation=None),
        lambda potential: combined(
            potential,
            potential_keys=[{"CACE_energy": "CACE_energy", "weight": np.float64(1.0)}],
        ),
        torch.optim.swa_utils.AveragedModel,
        nn.DataParallel,
        lambda potential: torch.optim.swa_utils.AveragedModel(combined(potential)),
        lambda potential: combined(combined(potential)),
    ],
    ids=["combined", "no-operation", "weight-1", "averaged", "parallel", "both", "twice"],
)
def test_wrappers_of_one_potential_change_nothing(tmp_path, wrap):
    model, settings = saved(tmp_path / "w.pth", wrap, kind="T2-Bchi")
    converted, found = read_published(tmp_path / "w.pth")
    assert found == settings
    assert torch.equal(forces_of(converted), forces_of(model))


@pytest.mark.parametrize(
    "change",
    [
        changed(representation__forward_features=["atomic_charge"]),
        changed(representation__keep_node_features_A=False, representation__charge_spin_key=None),
        changed(representation__zs=np.array([1, 8])),
        changed(representation__zs=torch.tensor([1, 8])),
        changed(representation__cutoff=np.float32(3.5)),
        changed(representation__mp_norm_factor=torch.tensor(10.0**-0.5, dtype=torch.float64)),
        changed(representation__radial_basis__dtype=None, timeit=False),
        changed(output_modules__0__feature_key=None, output_modules__0__activation=nn.SiLU),
        changed(output_modules__0__outnet__0__activation=nn.SiLU),
        changed(do_postprocessing=False, input_modules=nn.ModuleList, training=False),
        changed(representation__device=torch.device("cuda")),
        changed(
            representation__node_onehot=lambda: part(
                MODULES + "type.NodeEncoder_with_interpolation", num_classes=2, zs=[1, 8]
            )
        ),
    ],
)  # fmt: skip
def test_settings_that_change_no_energy(tmp_path, change):
    model, _ = saved(tmp_path / "s.pth", change)
    converted, _ = read_published(tmp_path / "s.pth")
    np.testing.assert_allclose(
        forces_of(converted), forces_of(model), rtol=0, atol=FLOAT32_ROUNDING
    )


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_pickle(tmp_path, protocol):
    settings = settings_of("M")
    model = random_model(settings, dtype=torch.float32)
    with names_of_the_original():
        potential = combined(lookalike(model, settings))
        torch.save(potential, tmp_path / "p.pth", pickle_protocol=protocol)
    converted, _ = read_published(tmp_path / "p.pth")
    assert torch.equal(forces_of(converted), forces_of(model))


def test_models_saved_on_a_gpu(tmp_path):
    model, _ = saved(tmp_path / "g.pth")
    with zipfile.ZipFile(tmp_path / "g.pth") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    on_cpu, on_gpu = b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0"
    assert on_cpu in entries["g/data.pkl"]
    entries["g/data.pkl"] = entries["g/data.pkl"].replace(on_cpu, on_gpu)
    with zipfile.ZipFile(tmp_path / "g.pth", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    converted, _ = read_published(tmp_path / "g.pth")
    assert torch.equal(forces_of(converted), forces_of(model))


def test_a_layer_without_bias_has_a_bias_of_zero(tmp_path):
    def without_bias(potential):
        for dense in potential.output_modules[0].outnet:
            dense.linear.bias = None
        return potential

    _, settings = saved(tmp_path / "b.pth", without_bias)
    converted, _ = read_published(tmp_path / "b.pth")
    model = random_model(settings, dtype=torch.float32)
    with torch.no_grad():
        for layer in model.readout.network:
            if isinstance(layer, nn.Linear):
                layer.bias.zero_()
    assert torch.equal(forces_of(converted), forces_of(model))


def test_a_linear_readout_that_is_switched_off_is_left_out(tmp_path):
    saved(tmp_path / "l.pth", changed(output_modules__0__add_linear_nn=False))
    _, settings = read_published(tmp_path / "l.pth")
    assert not settings.readout_linear


def test_the_cutoff_is_that_of_the_cutoff_function(tmp_path):
    # It is stored in float32, and the rounding of 3.3 is larger than what float64 resolves.
    saved(tmp_path / "c.pth", cutoff=3.3)
    _, settings = read_published(tmp_path / "c.pth")
    assert settings.cutoff == float(torch.tensor(3.3)) != 3.3


def test_weights_of_two_precisions_keep_all_digits(tmp_path):
    third = torch.tensor(1 / 3, dtype=torch.float64)

    def exact_prefactor(potential):
        potential.representation.radial_basis.prefactor = third
        return potential

    saved(tmp_path / "d.pth", exact_prefactor)
    converted, _ = read_published(tmp_path / "d.pth")
    assert converted.dtype == torch.float64 and converted.radial.prefactor == third


def test_old_messages_share_their_weight_unless_they_say_otherwise(tmp_path):
    def without_switches(potential):
        for layer in potential.representation.message_passing_list:
            del layer[2].shared_l, layer[2].shared_channels
        return potential

    model, settings = saved(tmp_path / "o.pth", without_switches, kind="Bchi-one-weight")
    converted, found = read_published(tmp_path / "o.pth")
    assert found == settings
    assert torch.equal(forces_of(converted), forces_of(model))


# ---- what the file holds besides --------------------------------------------------------------


def convert(tmp_path, *arguments):
    run = CliRunner().invoke(
        cace, ["convert", str(tmp_path / "p.pth"), "-o", str(tmp_path / "m.cace.pt"), *arguments]
    )
    assert run.exit_code == 0, run.output
    return run.output, load_checkpoint(tmp_path / "m.cace.pt")[1]


def test_reference_energies_in_the_file_are_used_and_named(tmp_path):
    saved(tmp_path / "p.pth", changed(atomic_energies={8: np.float64(-2.5), 1: -1.5}))
    output, info = convert(tmp_path)
    assert info.E0 == {"H": -1.5, "O": -2.5}
    assert "note: the file holds E0 in eV, which are used: H=-1.5, O=-2.5" in output
    output, info = convert(tmp_path, "--e0", "H=-1,O=-2")
    assert info.E0 == {"H": -1.0, "O": -2.0}
    assert "note: the file holds E0 in eV, but --e0 is used: H=-1.5, O=-2.5" in output


def test_reference_energies_of_some_elements_are_refused(tmp_path):
    saved(tmp_path / "p.pth", changed(atomic_energies={8: -2.5}))
    assert "its atomic_energies lack H" in refusal(tmp_path / "p.pth")


def test_further_outputs_and_averages_are_named(tmp_path):
    def wrap(potential):
        potential.output_modules[0].per_atom_output_key = "CACE_atom_energies"
        return torch.optim.swa_utils.AveragedModel(potential)

    saved(tmp_path / "p.pth", wrap)
    output, _ = convert(tmp_path)
    assert "note: its weights are averages over the training (AveragedModel)" in output
    assert "note: besides the energy it has the output(s) CACE_atom_energies" in output
    assert "note: E0 is 0 for H O" in output
    assert len(convert_published(tmp_path / "p.pth").notes) == 2


# ---- what has no counterpart here -------------------------------------------------------------


def with_output(name, **attributes):
    def change(potential):
        potential.output_modules.append(part(name, **attributes))
        return potential

    return change


@pytest.mark.parametrize(
    "change, text",
    [
        (
            with_output(MODULES + "ewald.EwaldPotential"),
            "it has a long-range part (Ewald sum over c",
        ),
        (
            with_output(MODULES + "ewald.EwaldPotential", exponent=6),
            "long-range part (dispersion, ex",
        ),
        (with_output(MODULES + "les_wrapper.LesWrapper"), "it has a long-range part (latent Ewald"),
        (with_output("les.Les"), "it has a long-range part (latent Ewald summation, LES)"),
        (with_output(MODULES + "charge_eq.ChargeEq"), "a long-range part (charge equilibration)"),
        (with_output(MODULES + "metalwall.MetalWall"), "a long-range part (charges before a metal"),
        (with_output(MODULES + "polarization.Polarization"), "it has polarization as an output"),
        (with_output(MODULES + "grad.Grad"), "it has derivatives of other outputs"),
        (with_output(MODULES + "feature_mix.FeatureAdd"), "outputs or features that are added up"),
        (
            with_output(MODULES + "blocks.AtomicEnergiesBlock"),
            "reference energies of elements as a",
        ),
        (
            with_output(MODULES + "atomwise.Atomwise", output_key="q"),
            "expected one Atomwise readout",
        ),
        (
            with_output(MODULES + "new.Thing"),
            "needs 'cace.modules.new.Thing', a piece that pair_cace",
        ),
        (with_output("schnetpack.AddOffsets"), "is of the package schnetpack and no part of CACE"),
        (with_output("__main__.MyReadout"), "was defined in the script that trained the model"),
        (
            changed(postprocessors=lambda: nn.ModuleList([part(MODULES + "forces.Forces")])),
            "it has postprocessors (cace.modules.forces.Forces), which pair_cace does not have",
        ),
        (
            changed(input_modules=lambda: nn.ModuleList([part(MODULES + "forces.Forces")])),
            "it has input_modules (cace.modules.forces.Forces), which",
        ),
        (
            changed(representation__radial_basis=lambda: part(MODULES + "radial.GaussianRBF")),
            "it has a radial basis other than Bessel functions: it needs 'cace.modules.radial.Gau",
        ),
        (
            changed(representation__cutoff_fn=lambda: part(MODULES + "cutoff.MollifierCutoff")),
            "it has a cutoff function other than the polynomial",
        ),
        (
            changed(representation__edge_coding__directed=False),
            "its edges are undirected (EdgeEncoder, directed=False)",
        ),
        (
            changed(
                representation__edge_coding=lambda: part(MODULES + "type.EdgeEncoder_InterIntra")
            ),
            "it has edges that differ within and between molecules",
        ),
        (
            changed(representation__charge_spin_key="total_charge"),
            "it depends on charge states or spins: its Cace has charge_spin_key",
        ),
        (
            changed(output_modules__0__feature_key=["node_feats", "charge_states"]),
            "it depends on charge states or spins: its readout has feature_key=['node_feats', 'ch",
        ),
        (changed(output_modules__0__n_out=4), "n_out=4 (outputs 'CACE_energy'), pair_cace has 1"),
        (
            changed(output_modules__0__post_process=lambda: torch.nn.functional.softplus),
            "its readout has post_process=torch._C._nn.softplus",
        ),
        (
            changed(output_modules__0__outnet__0__activation=lambda: torch.tanh),
            "a network layer has the activation torch.tanh, expected torch.nn.functional.silu",
        ),
        (
            changed(output_modules__0__outnet__0__activation=nn.Tanh),
            "needs 'torch.nn.modules.activation.Tanh', a piece that pair_cace does not have",
        ),
        (changed(output_modules__0__outnet=None), "a network of it was never built"),
        (changed(output_modules__1__energy_key="q"), "its forces are those of 'q', but its read"),
        (changed(scale=2.0), "its NeuralNetworkPotential has scale=2.0, which pair_cace does not"),
        (
            changed(output_modules__0__shift=lambda: nn.Parameter(torch.ones(2))),
            "its Atomwise has shift=(Tensor), which pair_cace does not know",
        ),
        (
            changed(representation__cutoff_fn__p=torch.tensor(5.5)),
            "its cutoff function has exponent 5.5, pair_cace has integers",
        ),
        (
            changed(representation__cutoff_fn__p=torch.tensor(14.0)),
            "its cutoff_exponent (14) is out of what pair_cace has",
        ),
        (
            changed(representation__node_onehot__index_map=torch.tensor([-1, 1] + 6 * [-1] + [0])),
            "its node encoder has other elements, or in another order, than its zs",
        ),
        (
            lambda potential: combined(
                potential, potential_keys=[{"CACE_energy": "CACE_energy", "weight": 0.5}]
            ),
            "its CombinePotential multiplies energies by 0.5",
        ),
        (
            lambda potential: combined(potential, operation=torch.nn.functional.silu),
            "its CombinePotential combines by torch.nn.functional.silu",
        ),
        (
            lambda potential: combined(potential, potential_keys=[{"CACE_energy": "E"}]),
            "its CombinePotential does not give the energy 'CACE_energy' of its readout",
        ),
        (
            lambda potential: combined(potential, potential),
            "it combines 2 potentials (CombinePotential of CACE_energy; CACE_energy)",
        ),
        (
            lambda potential: part("cace.tasks.train.TrainingTask", model=potential),
            "it is a whole training (TrainingTask), not a model; with the original, save the model",
        ),
    ],
)
def test_what_we_do_not_have_is_named_without_an_accusation(tmp_path, change, text):
    saved(tmp_path / "x.pth", change)
    assert text in refusal(tmp_path / "x.pth")


def test_other_invariants_than_ours_are_refused(tmp_path):
    def other_coefficient(potential):
        table = potential.representation.symmetrizer.indice_dict_allnu
        table[3][0][0][-1] += 1
        return potential

    saved(tmp_path / "i.pth", other_coefficient)
    assert "its invariants of 3 factors are not those of the CACE" in refusal(tmp_path / "i.pth")


def test_monomials_in_another_order_are_the_same_invariants(tmp_path):
    def reordered(potential):
        angular, symmetrizer = (
            getattr(potential.representation, name) for name in ("angular_basis", "symmetrizer")
        )
        monomials = angular.lxlylz_list
        angular.lxlylz_list = monomials[:1] + monomials[3:0:-1] + monomials[4:]
        position = [angular.lxlylz_list.index(monomial) for monomial in monomials]
        for features in symmetrizer.indice_dict_allnu.values():
            for entries in features.values():
                for entry in entries:
                    entry[0] = [position[index] for index in entry[0]]
        return potential

    model, _ = saved(tmp_path / "r.pth", reordered)
    converted, _ = read_published(tmp_path / "r.pth")
    assert torch.equal(forces_of(converted), forces_of(model))


def test_hooks_are_refused(tmp_path):
    def hooked(potential):
        potential.output_modules[0].register_forward_hook(torch.nn.functional.silu)
        return potential

    saved(tmp_path / "h.pth", hooked)
    assert "its Atomwise has hooks" in refusal(tmp_path / "h.pth")


# ---- files that lack what makes a model -------------------------------------------------------


def representation_alone(potential):
    return potential.representation


def weights_alone(potential):
    return potential.state_dict()


def trainers_checkpoint(potential):
    optimizer = torch.optim.Adam(potential.parameters())
    return {
        "model_state_dict": potential.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": None,
    }


def checkpoint_of_lightning(potential):
    return {
        "pytorch-lightning_version": "2.4.0",
        "state_dict": potential.state_dict(),
        "optimizer_states": [],
        "lr_schedulers": [],
        "hyper_parameters": part("lightning.fabric.utilities.data.AttributeDict"),
    }


VERBS = [
    ("convert", "-o", "{out}"),
    ("info",),
    ("export", "-o", "{out}"),
    ("eval", "{data}"),
]


@pytest.mark.parametrize("verb", VERBS, ids=[verb[0] for verb in VERBS])
@pytest.mark.parametrize(
    "content, what, todo",
    [
        (representation_alone, "is a representation alone", "save the whole potential"),
        (weights_alone, "is a state_dict of the original implementation", "save it whole"),
        (lambda p: dict(p.state_dict()), "is a state_dict of the original", "save it whole"),
        (lambda p: {"state_dict": p.state_dict()}, "is a state_dict of the", "save it whole"),
        (trainers_checkpoint, "is the state of a training", "save it whole"),
        (checkpoint_of_lightning, "is the state of a training", "save it whole"),
    ],
    ids=["representation", "state_dict", "dict", "in-a-dict", "trainer", "lightning"],
)  # fmt: skip
def test_every_command_says_what_a_file_lacks(tmp_path, verb, content, what, todo):
    saved(tmp_path / "f.pth", content)
    check_message(tmp_path, verb, what, todo, "torch.save(model, path)")


@pytest.mark.parametrize("verb", VERBS, ids=[verb[0] for verb in VERBS])
def test_every_command_names_the_format_of_old_torch(tmp_path, verb):
    state = random_model(settings_of("T0")).state_dict()
    torch.save(state, tmp_path / "f.pth", _use_new_zipfile_serialization=False)
    check_message(tmp_path, verb, "is in the format that torch wrote before version 1.6", "again")


@pytest.mark.parametrize("verb", VERBS, ids=[verb[0] for verb in VERBS])
def test_every_command_names_a_plain_pickle(tmp_path, verb):
    (tmp_path / "f.pth").write_bytes(pickle.dumps({"model": 1}))
    check_message(tmp_path, verb, "is a pickle that torch.save did not write", "torch.save(model")


def check_message(tmp_path, verb, *texts):
    (tmp_path / "data.xyz").write_text("1\n\nH 0 0 0\n")
    names = {"out": tmp_path / "out.pt", "data": tmp_path / "data.xyz"}
    arguments = [argument.format(**names) for argument in verb[1:]]
    run = CliRunner().invoke(cace, [verb[0], str(tmp_path / "f.pth"), *arguments])
    assert isinstance(run.exception, CaceError), run.output
    for text in texts:
        assert text in str(run.exception)
    assert not (tmp_path / "out.pt").exists()
