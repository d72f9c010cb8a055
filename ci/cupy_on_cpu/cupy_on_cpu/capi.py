"""Put Python functions in the place of a Cython module's C functions.

A Cython module publishes the functions that others may cimport as capsules,
each named by its C signature.  For every function to be replaced, a small C++
function of just that signature is generated; it calls the Python function,
converts the result and passes exceptions on as Cython expects.  (Callbacks
made with ctypes cannot raise, and crash when called while Python shuts down.)
"""

import ctypes
import re
from collections.abc import Callable, Mapping
from types import ModuleType

from . import toolchain

_PRELUDE = """
#include <cstddef>
#include <cstdint>

// The few parts of Python's stable ABI that are needed, so that Python's
// development headers are not.
struct PyObject;
extern "C" {
extern PyObject _Py_NoneStruct;
void Py_IncRef(PyObject*);
void Py_DecRef(PyObject*);
PyObject* PyObject_CallFunction(PyObject*, const char*, ...);
PyObject* PyErr_Occurred();
long long PyLong_AsLongLong(PyObject*);
double PyFloat_AsDouble(PyObject*);
}

static PyObject* targets[%(count)d];
static bool closed = false;
extern "C" void set_target(int index, PyObject* target) { targets[index] = target; }
extern "C" void close_all() { closed = true; }

static PyObject* none() { Py_IncRef(&_Py_NoneStruct); return &_Py_NoneStruct; }
template <class T> T number(PyObject* value, T error, long long (*convert)(PyObject*)) {
    if (!value) return error;
    T result = (T)convert(value);
    Py_DecRef(value);
    return PyErr_Occurred() ? error : result;
}
static float real(PyObject* value) {
    if (!value) return 0;
    double result = PyFloat_AsDouble(value);
    Py_DecRef(value);
    return (float)result;
}
"""

#: By C result type: the value while closed, the conversion of the Python result.
_RESULTS = {
    "object": ("none()", "{}"),
    "int": ("0", "number<int>({}, -1, PyLong_AsLongLong)"),
    "unsigned int": ("0", "number<unsigned int>({}, 0, PyLong_AsLongLong)"),
    "intptr_t": ("0", "number<intptr_t>({}, 0, PyLong_AsLongLong)"),
    "float": ("0", "real({})"),
}
#: By C argument type: the code that PyObject_CallFunction uses for it.
_ARGUMENTS = {
    "int": "i",
    "unsigned int": "I",
    "size_t": "n",
    "intptr_t": "n",
    "PyObject *": "O",
}
_SIGNATURE = re.compile(r"(?P<result>[^(]+?) ?(?P<pointer>\*?)\((?P<arguments>.*)\)")

_keep_alive: list[object] = []


def replace_functions(
    replacements: Mapping[ModuleType, Mapping[str, Callable]],
) -> Callable[[], None]:
    """Replace functions of Cython modules, in their C API and as attributes.

    Returns a function after whose call the replaced functions do nothing.
    """
    flat = [
        (module, name, function) for module, functions in replacements.items() for name, function in functions.items()
    ]
    source = _PRELUDE % {"count": len(flat)} + "\n".join(
        _trampoline(index, _signature(module.__pyx_capi__[name])) for index, (module, name, _) in enumerate(flat)
    )
    library = ctypes.PyDLL(str(toolchain.build_library("capi", source)))
    library.set_target.argtypes = [ctypes.c_int, ctypes.py_object]
    library.set_target.restype = library.close_all.restype = None
    for index, (module, name, function) in enumerate(flat):
        _keep_alive.append(function)
        library.set_target(index, function)
        address = ctypes.cast(getattr(library, f"trampoline_{index}"), ctypes.c_void_p)
        _replace_capsule(module.__pyx_capi__, name, address)
        setattr(module, name, function)
    return library.close_all


def _signature(capsule: object) -> str:
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    return get_name(capsule).decode()


def _replace_capsule(capi: dict, name: str, address: ctypes.c_void_p) -> None:
    new = ctypes.pythonapi.PyCapsule_New
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    signature = ctypes.c_char_p(_signature(capi[name]).encode())
    _keep_alive.extend([capi[name], signature])  # the capsule borrows its name
    capi[name] = new(address, signature, None)


def _trampoline(index: int, signature: str) -> str:
    match = _SIGNATURE.fullmatch(signature)
    result = "object" if match["pointer"] else match["result"]
    when_closed, convert = _RESULTS[result]
    declared, passed, codes = [], [], ""
    for position, text in enumerate(match["arguments"].split(", ")):
        if text == "void":
            continue
        if text.endswith("__pyx_skip_dispatch"):
            declared.append("int")
        elif text.endswith("__pyx_optional_args"):
            declared.append("void*")
        else:
            declared.append(f"{text} a{position}")
            passed.append(f", a{position}")
            codes += _ARGUMENTS[text]
    call = f'PyObject_CallFunction(targets[{index}], "({codes})"{"".join(passed)})'
    c_result = "PyObject*" if result == "object" else result
    return (
        f'extern "C" {c_result} trampoline_{index}({", ".join(declared)}) {{\n'
        f"    if (closed) return {when_closed};\n"
        f"    return {convert.format(call)};\n}}"
    )
