"""A pickle read as data: its values, and the names of what it would call. Nothing is imported, called or built from it.

The opcodes are read by the standard library's pickletools, which knows their forms and executes nothing; the stack is kept
here. What torch.save writes becomes dicts, lists, numbers and `StoredTensor`s, whatever the protocol (1 to 5); any other object
becomes an `Opaque`. Opcodes and names are those of an allow-list: what is not on it is refused, never looked up.
"""

import pickletools
from dataclasses import dataclass
from typing import Any

from core.errors import InputError
from core.intake.tensors import DTYPE_BYTES, StoredTensor
from core.zips import shown

MAX_OPCODES = 500_000
MAX_BYTES = 16_000_000
MAX_NUMBER_BITS = 4096  # of one number: hashing megabytes again and again would take hours
MAX_ARGUMENTS = 64  # of one call, and dimensions of a tensor: likewise
SAVE_HINT = (
    "Where the model was made, save its weights alone: torch.save(model.state_dict(), 'weights.pt'), and load that file here."
)

STORAGE_DTYPES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "ComplexDoubleStorage": "C128",
    "ComplexFloatStorage": "C64",
    "QInt8Storage": "I8",
    "QUInt8Storage": "U8",
    "QInt32Storage": "I32",
    "UntypedStorage": "U8",
}
TORCH_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
    "complex128": "C128",
    "complex64": "C64",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}
TENSORS = {
    f"torch._utils.{name}"
    for name in (
        "_rebuild_tensor",
        "_rebuild_tensor_v2",
        "_rebuild_tensor_v3",
        "_rebuild_parameter",
        "_rebuild_parameter_with_state",
    )
}
MAPPINGS = {"collections.OrderedDict", "collections.defaultdict", "collections.Counter", "builtins.dict"}
# What honest training scripts keep beside the weights: best accuracies as numpy scalars, arguments, paths, random states.
HARMLESS = {
    "torch.Size",
    "torch.device",
    "torch.nn.parameter.Parameter",
    "torch.serialization._get_layout",
    "torch._utils._rebuild_qtensor",
    "torch._utils._rebuild_sparse_tensor",
    "torch._tensor._rebuild_from_type_v2",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy._core.numeric._frombuffer",
    "numpy.core.numeric._frombuffer",
    "_codecs.encode",
    "copyreg._reconstructor",
    "builtins.object",
    "builtins.set",
    "builtins.frozenset",
    "builtins.list",
    "builtins.tuple",
    "builtins.int",
    "builtins.float",
    "builtins.str",
    "builtins.bool",
    "builtins.bytes",
    "builtins.bytearray",
    "builtins.complex",
    "builtins.slice",
    "builtins.range",
    "argparse.Namespace",
    "types.SimpleNamespace",
    "datetime.datetime",
    "datetime.date",
    "datetime.timedelta",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
}
ALLOCATING = {"builtins.bytearray", "builtins.bytes"}  # of a number, they make that many bytes
OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg", "torch.tensor": "torch._tensor"}  # as Python 2 called them
MODEL_ROOMS = (
    "torch.nn.modules.",
    "torch.nn.parallel.",
    "torchvision.models.",
    "torch.jit.",
    "torch.fx.",
    "timm.",
    "transformers.",
)
DANGEROUS_ROOTS = {
    "os",
    "posix",
    "nt",
    "subprocess",
    "_posixsubprocess",
    "sys",
    "importlib",
    "runpy",
    "socket",
    "shutil",
    "code",
    "codeop",
    "pty",
    "ctypes",
    "_ctypes",
    "multiprocessing",
    "threading",
    "_thread",
    "asyncio",
    "webbrowser",
    "pip",
    "pickle",
    "_pickle",
    "marshal",
    "shelve",
    "operator",
    "_operator",
    "functools",
    "_functools",
    "builtins",
    "commands",
    "platform",
    "signal",
    "tempfile",
    "urllib",
    "http",
    "ftplib",
    "smtplib",
    "ssl",
    "requests",
    "inspect",
    "types",
    "bdb",
    "pdb",
    "timeit",
    "trace",
    "cProfile",
    "profile",
    "doctest",
    "imp",
    "zipimport",
    "pkgutil",
    "pydoc",
    "atexit",
    "linecache",
    "site",
    "venv",
    "ensurepip",
    "dill",
    "cloudpickle",
    "joblib",
}


@dataclass(frozen=True)
class Name:
    """A class or function that the pickle names: "collections.OrderedDict"."""

    path: str


@dataclass(frozen=True)
class Storage:
    """Numbers that lie in the archive's file data/<key>. numel: elements of that type, as the pickle says."""

    dtype: str
    key: str
    numel: int


@dataclass(frozen=True)
class Opaque:
    """An object that is of no use to us, by the name of what would have made it."""

    made_by: str


def read_pickle(content: bytes) -> tuple[Any, list[Storage]]:
    """(the value, every storage it speaks of). Raises InputError for anything that torch.save would not have written."""
    if len(content) > MAX_BYTES:
        raise _refusal(f"its pickle has {len(content):,} bytes, expected {MAX_BYTES:,} at most")
    machine = _Machine(is_model=b"torch.nn.modules." in content)
    count = 0
    try:
        for opcode, argument, position in pickletools.genops(content):
            count += 1
            if count > MAX_OPCODES:
                raise _refusal(f"its pickle has more than {MAX_OPCODES:,} instructions")
            step = STEPS.get(opcode.name)
            if step is None:
                raise _refusal(f"its pickle uses the instruction {opcode.name}, which torch.save never writes")
            step(machine, argument)
            end = (position or 0) + 1
    except (InputError, MemoryError):
        raise
    except Exception:  # ValueError, IndexError, KeyError, UnicodeDecodeError, OverflowError and more
        raise _refusal("its pickle is damaged", hint="Copy or download the file again, or save it again.") from None
    if end != len(content):
        raise _refusal("something follows the end of its pickle")
    return machine.result, list(machine.storages)


class _Machine:
    """The unpickler's stack, marks and memo, over inert values."""

    def __init__(self, is_model: bool) -> None:
        self.is_model = is_model
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[Storage, None] = {}
        self.result: Any = None
        self.work = 0

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items


def _push(value: Any = None, *, make: Any = None) -> Any:
    return lambda machine, argument: machine.stack.append(make() if make else value)


def _push_argument(machine: _Machine, argument: Any) -> None:
    if isinstance(argument, int) and argument.bit_length() > MAX_NUMBER_BITS:
        raise _refusal("its pickle holds a number of thousands of digits")
    machine.stack.append(argument)


def _mark(machine: _Machine, _: Any) -> None:
    machine.marks.append(machine.stack)
    machine.stack = []


def _tuple_of(count: int) -> Any:
    def step(machine: _Machine, _: Any) -> None:
        if len(machine.stack) < count:
            raise ValueError("stack underflow")
        machine.stack[-count:] = [tuple(machine.stack[-count:])]

    return step


def _collected(kind: Any) -> Any:
    def step(machine: _Machine, _: Any) -> None:
        items = machine.pop_mark()
        machine.stack.append(kind(items))

    return step


def _dict_of(items: list[Any]) -> dict[Any, Any]:
    target: dict[Any, Any] = {}
    _set_items(target, items)
    return target


def _set_items(target: Any, items: list[Any]) -> None:
    """Only keys of plain kinds are kept: hashing a nested one could take the stack down."""
    if len(items) % 2:
        raise ValueError("a key without a value")
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, str | int | float | bytes | None):
                target[key] = value
    elif not isinstance(target, Opaque):
        raise ValueError("items of something that has none")


def _append_all(target: Any, items: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(items)
    elif not isinstance(target, Opaque):
        raise ValueError("items of something that has none")


def _set_item(machine: _Machine, _: Any) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _set_items(machine.stack[-1], [key, value])


def _set_all(machine: _Machine, _: Any) -> None:
    items = machine.pop_mark()
    _set_items(machine.stack[-1], items)


def _append(machine: _Machine, _: Any) -> None:
    item = machine.stack.pop()
    _append_all(machine.stack[-1], [item])


def _extend(machine: _Machine, _: Any) -> None:
    items = machine.pop_mark()
    _append_all(machine.stack[-1], items)


def _put(machine: _Machine, argument: Any) -> None:
    machine.memo[int(argument)] = machine.stack[-1]


def _memoize(machine: _Machine, _: Any) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _get(machine: _Machine, argument: Any) -> None:
    machine.stack.append(machine.memo[int(argument)])


def _name(machine: _Machine, argument: str) -> None:
    module, _, name = argument.partition(" ")
    machine.stack.append(_allowed(module, name, machine.is_model))


def _name_from_stack(machine: _Machine, _: Any) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise ValueError("a name that is no text")
    machine.stack.append(_allowed(module, name, machine.is_model))


def _call(machine: _Machine, _: Any) -> None:
    arguments, function = machine.stack.pop(), machine.stack.pop()
    if not isinstance(function, Name) or not isinstance(arguments, tuple):
        raise _refusal("its pickle calls something that is no function")
    sizes = [len(argument) for argument in arguments[:MAX_ARGUMENTS] if isinstance(argument, list | tuple)]
    machine.work += sum(sizes)
    if len(arguments) > MAX_ARGUMENTS or machine.work > MAX_OPCODES:  # the same long list given to call after call
        raise _refusal("its pickle would take too long to read, as harmful files do")
    machine.stack.append(_what_it_makes(function.path, arguments))


def _build(machine: _Machine, _: Any) -> None:
    machine.stack.pop()
    _ = machine.stack[-1]  # the state of an object, such as _metadata of a state_dict, is not looked at


def _persistent(machine: _Machine, _: Any) -> None:
    match machine.stack.pop():
        case ("storage", Name(path), str(key), str(), int(numel), *rest) if (
            path.rpartition(".")[2] in STORAGE_DTYPES and rest in ([], [None])  # the view of another storage, once: there is none
        ):
            storage = Storage(STORAGE_DTYPES[path.rpartition(".")[2]], key, numel)
        case _:
            raise _refusal("its pickle speaks of numbers in a form that torch.save never writes")
    machine.storages[storage] = None
    machine.stack.append(storage)


def _stop(machine: _Machine, _: Any) -> None:
    if machine.marks or len(machine.stack) != 1:
        raise ValueError("something is left on the stack")
    machine.result = machine.stack.pop()


def _nothing(machine: _Machine, _: Any) -> None:
    pass


STEPS = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "STOP": _stop,
    "MARK": _mark,
    "BINPERSID": _persistent,
    "BUILD": _build,
    "NONE": _push(None),
    "NEWTRUE": _push(True),
    "NEWFALSE": _push(False),
    "EMPTY_TUPLE": _push(()),
    "EMPTY_DICT": _push(make=dict),
    "EMPTY_LIST": _push(make=list),
    "EMPTY_SET": _push(Opaque("builtins.set")),
    **dict.fromkeys(
        [
            "INT",
            "BININT",
            "BININT1",
            "BININT2",
            "LONG",
            "LONG1",
            "LONG4",
            "FLOAT",
            "BINFLOAT",
            "BINUNICODE",
            "SHORT_BINUNICODE",
            "BINUNICODE8",
            "UNICODE",
            "BINSTRING",
            "SHORT_BINSTRING",
            "BINBYTES",
            "SHORT_BINBYTES",
            "BINBYTES8",
            "BYTEARRAY8",
        ],
        _push_argument,
    ),
    "TUPLE": _collected(tuple),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "LIST": _collected(list),
    "DICT": _collected(_dict_of),
    "FROZENSET": _collected(lambda items: Opaque("builtins.frozenset")),
    "APPEND": _append,
    "APPENDS": _extend,
    "ADDITEMS": _extend,
    "SETITEM": _set_item,
    "SETITEMS": _set_all,
    **dict.fromkeys(["BINPUT", "LONG_BINPUT", "PUT"], _put),
    "MEMOIZE": _memoize,
    **dict.fromkeys(["BINGET", "LONG_BINGET", "GET"], _get),
    "GLOBAL": _name,
    "STACK_GLOBAL": _name_from_stack,
    "REDUCE": _call,
    "NEWOBJ": _call,
}


def _allowed(module: str, name: str, is_model: bool) -> Name:
    """The name, if honest files hold it. Raises InputError that says what kind of thing it is otherwise.

    is_model: whether layers are named anywhere in the pickle; the class of the model itself comes first, and may be anybody's.
    """
    module = OLD_MODULES.get(module, module)
    path = f"{module}.{name}"
    if path in TENSORS or path in MAPPINGS or path in HARMLESS:
        return Name(path)
    if module in ("torch", "torch.cuda", "torch.storage") and (name in STORAGE_DTYPES or name in TORCH_DTYPES):
        return Name(path)
    if module.partition(".")[0] in DANGEROUS_ROOTS:
        raise _refusal(f"it calls {shown(path)} when opened, as harmful files do. It was not opened", SAVE_HINT)
    if is_model or f"{module}.".startswith(MODEL_ROOMS) or path == "torch._dynamo.eval_frame.OptimizedModule":
        raise _refusal("it holds a whole pickled model, which would run code when opened, instead of its weights", SAVE_HINT)
    raise _refusal(f"it holds an object of another program, {shown(path)}, which would run code when opened", SAVE_HINT)


def _what_it_makes(path: str, arguments: tuple[Any, ...]) -> Any:
    """The inert value for what a call of an allowed name would return."""
    if path in MAPPINGS:
        return _mapping(arguments)
    if path in ALLOCATING and any(isinstance(argument, int) for argument in arguments):
        raise _refusal("it asks for memory by number, as harmful files do", SAVE_HINT)
    if path == "torch._tensor._rebuild_from_type_v2":  # (function, type, its arguments, state)
        match arguments:
            case (Name(function), Name(), tuple(inner), _) if function in TENSORS:
                return _what_it_makes(function, inner)
    if path == "torch.nn.parameter.Parameter" or path.startswith("torch._utils._rebuild_parameter"):
        return arguments[0] if arguments and isinstance(arguments[0], StoredTensor) else Opaque(path)
    if path in TENSORS:
        return _tensor(path, arguments)
    return Opaque(path)


def _mapping(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    match arguments:
        case (list(pairs),):
            return _dict_of([item for pair in pairs for item in pair])
        case (dict(given),):
            return given
    return {}


def _tensor(path: str, arguments: tuple[Any, ...]) -> StoredTensor | Opaque:
    storage, offset, shape, strides, *rest = arguments
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise ValueError("a tensor of something else")
    dtype, room = storage.dtype, storage.numel
    if path.endswith("_v3"):
        dtype = TORCH_DTYPES.get(rest[2].path.rpartition(".")[2], "?")
        room = storage.numel * DTYPE_BYTES[storage.dtype] // DTYPE_BYTES.get(dtype, 1)
    metadata = rest[3:4] if path.endswith("_v3") else rest[2:3]
    if any(isinstance(flags, dict) and (len(flags) > 2 or any(flags.values())) for flags in metadata):
        return Opaque("a tensor with its conjugate or negative bit set")
    if len(shape) > MAX_ARGUMENTS:
        raise _refusal(f"a tensor in it has {len(shape):,} dimensions")
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or not all(type(n) is int and 0 <= n < 2**62 for n in numbers):
        raise ValueError("a shape that is none")
    if 0 not in shape and offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True)) >= room:
        raise _refusal("a tensor in it reaches beyond the numbers stored for it", hint="Copy or download the file again.")
    return StoredTensor(dtype=dtype, shape=shape, strides=strides, offset=offset * DTYPE_BYTES.get(dtype, 1), storage=storage.key)


def _refusal(reason: str, hint: str = SAVE_HINT) -> InputError:
    return InputError(f"The file can't be taken: {reason}.", code="file", hint=hint)
