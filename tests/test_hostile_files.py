"""Crafted model files: whatever a pickle asks for, nothing of it runs and nothing of ours changes."""

import io
import pickle
import pickletools
import struct
import zipfile

import numpy as np
import pytest
import torch
from helpers import random_model, settings_of
from pair_cace.errors import CaceError
from pair_cace.io.published import read_published
from published_lookalike import lookalike, names_of_the_original

SUSPICIOUS = "which no published model does; nothing of it was run. Do not open this file with"


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path, monkeypatch):
    """The codes below write ``ran`` into the working directory if they run."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "ran").exists()


def write_archive(path, code: bytes, entries=()):
    """A torch archive around a pickle of one's own."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", code)
        for name, content in dict(entries).items():
            archive.writestr(name, content)
    return path


def refusal(path) -> str:
    with pytest.raises(CaceError) as caught:
        read_published(path)
    return str(caught.value)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def call(module: str, name: str, *arguments: bytes) -> bytes:
    return f"c{module}\n{name}\n(".encode() + b"".join(arguments) + b"tR"


TOUCH = text("touch ran")
WRITE = text("open('ran', 'w').close()")
SYSTEM = call("os", "system", TOUCH)


@pytest.mark.parametrize(
    "code, name",
    [
        (SYSTEM, "os.system"),
        (call("posix", "system", TOUCH), "posix.system"),
        (call("subprocess", "getoutput", TOUCH), "subprocess.getoutput"),
        (call("builtins", "eval", WRITE), "builtins.eval"),
        (call("__builtin__", "exec", WRITE), "builtins.exec"),
        (call("builtins", "__import__", text("os")), "builtins.__import__"),
        (call("runpy", "run_path", text("x.py")), "runpy.run_path"),
        (call("pickle", "loads", text("x")), "pickle.loads"),
        (call("importlib", "import_module", text("os")), "importlib.import_module"),
        (call("types", "FunctionType"), "types.FunctionType"),
        (call("torch", "load", text("x.pth")), "torch.load"),
        (call("torch.hub", "load", text("x")), "torch.hub.load"),
        (call("torch.jit", "load", text("x")), "torch.jit.load"),
        (call("torch.utils.cpp_extension", "load"), "torch.utils.cpp_extension.load"),
        (call("torch._tensor", "_rebuild_from_type_v2"), "torch._tensor._rebuild_from_type_v2"),
        (call("numpy", "load", text("x.npy")), "numpy.load"),
        (call("numpy.testing._private.utils", "runstring", WRITE), "numpy.testing._private.utils"),
        (b"(S'touch ran'\nios\nsystem\n", "os.system"),
        (b"(cos\nsystem\nS'touch ran'\no", "os.system"),
        (text("os") + text("system") + b"\x93" + TOUCH + b"\x85R", "os.system"),
        (text("torch.nn") + text("Module.__class__") + b"\x93", "torch.nn.Module.__class__"),
        # Hidden behind names that are read.
        (b"ccace.modules.x\nX\n" + SYSTEM + b"\x85R", "os.system"),
        (b"cmace.modules\nX\n(}" + TOUCH + SYSTEM + b"stR", "os.system"),
        (text("cace.representations.") + text("model_state_dict") + SYSTEM, "os.system"),
        (text("cace.representations.") + SYSTEM, "os.system"),
        (text("node_embedding_sender.embedding_weights") + SYSTEM, "os.system"),
    ],
)  # fmt: skip
def test_names_that_could_run_things_are_called_so(tmp_path, code, name):
    message = refusal(write_archive(tmp_path / "evil.pth", b"\x80\x04" + code + b"."))
    assert f"it asks to load '{name}" in message and SUSPICIOUS in message


@pytest.mark.parametrize(
    "owner, attribute",
    [
        (b"ccace.modules.x\nX\n", "__class__"),
        (b"ccace.modules.x\nX\n)\x81", "__setstate__"),
        (b"ccace.modules.x\nX\n)\x81", "_part_of_module"),
        (b"ccollections\nOrderedDict\n", "function"),
        (b"ccollections\nOrderedDict\n)R", "update"),
        (b"c_codecs\nencode\n", "__call__"),
        (text("x"), "format"),
        (b"]", "append"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n", "__globals__"),
        (b"ctorch.nn\nModule\n", "a.b"),
    ],
)  # fmt: skip
def test_attributes_are_reached_of_records_alone(tmp_path, owner, attribute):
    code = b"\x80\x02cbuiltins\ngetattr\n(" + owner + text(attribute) + b"tR."
    message = refusal(write_archive(tmp_path / "evil.pth", code))
    assert "it asks to load 'builtins.getattr'" in message and SUSPICIOUS in message


NUMBERS = b"cnumpy\ndtype\n("
TORCH_NUMBERS = b"((" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")


@pytest.mark.parametrize(
    "code",
    [
        # Functions that the file may call, with arguments that are none of theirs.
        call("_codecs", "encode", text("x"), text("zip")),
        call("_codecs", "encode", b"K\x05"),
        call("collections", "OrderedDict", b"K\x05"),
        call("builtins", "set", b"K\x05"),
        call("torch._utils", "_rebuild_parameter", text("x")),
        call("torch._utils", "_rebuild_tensor_v2", text("x"), b"K\x00", b")", b")"),
        call("torch._utils", "_rebuild_tensor_v2"),
        call("numpy.core.multiarray", "scalar", text("O"), text("x")),
        call("numpy.core.multiarray", "scalar", b"cnumpy\ndtype\n(" + text("i8") + b"tR", b"C\x01a"),
        call("numpy.core.multiarray", "_reconstruct") + b"(K\x01tb",
        # Numbers that are not there, and a tensor that reaches beyond its numbers.
        TORCH_NUMBERS + b"K\x01tQ",
        TORCH_NUMBERS.replace(text("0"), text("../data.pkl")) + b"K\x01tQ",
        TORCH_NUMBERS.replace(text("0"), text("n")) + b"K\x7ftQ",
        b"((" + text("elsewhere") + b"K\x00tQ",
        call("torch._utils", "_rebuild_tensor_v2", TORCH_NUMBERS[1:].replace(text("0"), text("n"))
             + b"K\x02tQ", b"K\x07", b"K\x02\x85", b"K\x01\x85"),
        call("torch._utils", "_rebuild_tensor_v2", TORCH_NUMBERS[1:].replace(text("0"), text("n"))
             + b"K\x02tQ", b"K\x00", b"J\xff\xff\xff\x7f\x85", b"K\x00\x85"),
        # Attributes for what has none: functions, classes, plain values.
        b"ctorch._utils\n_rebuild_tensor_v2\n}U\x08__code__U\x01xsb",
        b"ccollections\nOrderedDict\n}U\x08__call__U\x01xsb",
        b"cbuiltins\ngetattr\n}U\x08functionU\x01xsb",
        b"cbuiltins\ngetattr\nN}U\x08functionU\x01xs\x86b",
        b"ccace.modules.x\nX\n}U\x05pieceU\x01xsb",
        b"ccace.modules.x\nX\nN}U\x05pieceU\x01xs\x86b",
        text("x") + b"}U\x05pieceU\x01xsb",
        # Calls of what is no function.
        b"ccace.modules.x\nX\n)\x81)R",
        b"cbuiltins\ngetattr\n)\x81",
        text("x") + b")R",
        # Registered extensions, missing values, no end.
        b"\x82\x01", b"0", b"h\x63", b"(((((",
    ],
)  # fmt: skip
def test_odd_arguments_end_in_a_message(tmp_path, code):
    path = write_archive(tmp_path / "odd.pth", b"\x80\x04" + code + b".", {"m/data/n": b"8 bytes."})
    message = refusal(path)
    assert "is damaged" in message or "which is not a number" in message


def test_objects_of_numpy_are_no_numbers(tmp_path):
    class Runs:
        def __reduce__(self):
            return eval, ("open('ran', 'w').close()",)

    for value in (np.array([Runs()], dtype=object), np.array([(1, 2)], dtype="i4,i4")[0]):
        message = refusal(write_archive(tmp_path / "o.pth", pickle.dumps(value, protocol=2)))
        assert "which is not a number" in message or "asks to load 'builtins.eval'" in message


def test_a_record_cannot_pass_for_another_class(tmp_path):
    # Attributes called like those of records do not shadow them.
    code = b"\x80\x02ccace.models.atomistic\nOther\n)\x81}(" + text("piece")
    code += text("cace.models.atomistic.NeuralNetworkPotential") + text("get") + b"K\x01" + b"ub."
    message = refusal(write_archive(tmp_path / "r.pth", code))
    assert "it needs 'cace.models.atomistic.Other', a piece that pair_cace does not have" in message


def published(path, change=lambda potential: None):
    settings = settings_of("T0")
    with names_of_the_original():
        potential = lookalike(random_model(settings), settings)
        change(potential)
        torch.save(potential, path)
    return path


def test_a_function_in_place_of_a_container_is_found_inside_a_whole_model(tmp_path):
    path = published(tmp_path / "p.pth")
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
        code = archive.read("p/data.pkl")
    empty = b"ccollections\nOrderedDict\n"
    assert empty in code
    hooked = code.replace(empty, b"cbuiltins\neval\n", 1)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, hooked if name == "p/data.pkl" else content)
    assert "asks to load 'builtins.eval'" in refusal(path)


def test_an_archive_with_two_pickles_is_refused(tmp_path):
    # Readers differ in which of them they take.
    path = published(tmp_path / "p.pth")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("q/data.pkl", b"\x80\x02" + SYSTEM + b".")
    assert "it holds 2 pickles" in refusal(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_two_entries_of_a_name_is_refused(tmp_path):
    path = published(tmp_path / "p.pth")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("p/data/0", b"\0" * 24)
    assert "or two entries of one name" in refusal(path)


def test_an_archive_in_an_archive_is_not_looked_into(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02" + SYSTEM + b".")
    path = write_archive(tmp_path / "n.pth", b"\x80\x02N.", {"m/data/0": inner.getvalue()})
    assert "expected a pickled model" in refusal(path)
    (tmp_path / "outer.pth").write_bytes(b"\0" * 10)
    with zipfile.ZipFile(tmp_path / "outer.pth", "w") as archive:
        archive.writestr("m/inner.pth", inner.getvalue())
    assert "is not a model file" in refusal(tmp_path / "outer.pth")


def test_what_is_read_is_never_of_the_classes_that_the_file_names(tmp_path):
    # Every name of a whole published file, but for a handful of containers, stays unimported.
    path = published(tmp_path / "p.pth")
    with zipfile.ZipFile(path) as archive:
        named = {arg for op, arg, _ in pickletools.genops(archive.read("p/data.pkl"))
                 if op.name == "GLOBAL"}  # fmt: skip
    assert any(name.startswith("cace.") for name in named)
    model, _ = read_published(path)  # the invented modules are gone: an import would fail
    assert {type(module).__module__.partition(".")[0] for module in model.modules()} <= {
        "pair_cace", "torch",
    }  # fmt: skip


def test_numbers_of_either_byte_order(tmp_path):
    path = published(tmp_path / "p.pth")
    model, _ = read_published(path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    sizes = storage_sizes(entries["p/data.pkl"])
    for name, content in entries.items():
        if name.startswith("p/data/"):
            size = sizes[name.removeprefix("p/data/")]
            if size > 1:
                entries[name] = np.frombuffer(content, f"u{size}").byteswap().tobytes()
    entries["p/byteorder"] = b"big"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    swapped, _ = read_published(path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(swapped.state_dict()[name], tensor)


def storage_sizes(code: bytes) -> dict[str, int]:
    """Bytes of a number of every storage, by key."""
    sizes = {}
    unpickler = pickle._Unpickler(io.BytesIO(code))
    element = {"DoubleStorage": 8, "FloatStorage": 4, "LongStorage": 8}

    class Stub:
        def __init__(self, *arguments):
            pass

        def __setstate__(self, state):
            pass

        def __setitem__(self, key, value):
            pass

    def persistent_load(identity):
        sizes[identity[2]] = element[identity[1].__name__]
        return Stub()

    unpickler.find_class = lambda module, name: type(name, (Stub,), {})
    unpickler.persistent_load = persistent_load
    unpickler.load()
    return sizes
