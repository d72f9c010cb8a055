"""Products of vectors, matrices and higher arrays, Einstein sums among them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnx.backends import Array
from nnx.ops.operation import (
    cast_to,
    is_bool,
    name_of_dtype,
    namespace,
    operation,
    positive_axis,
    promote,
    shared,
)

__all__ = ["cross", "dot", "einsum", "inner", "kron", "matmul", "outer", "tensordot", "vdot"]


def _factors(*values: Any) -> tuple[list[Array], bool]:
    """Arrays in a common dtype whose sums of products do not wrap around, and whether they were bools."""
    arrays = promote(*values)
    bools = is_bool(arrays[0])
    if bools:
        return [cast_to(one, "int64") for one in arrays], True
    if name_of_dtype(arrays[0]) == "int8":
        return [cast_to(one, "int32") for one in arrays], False
    return list(arrays), False


def _product(y: Array, bools: bool) -> Array:
    return cast_to(y, "bool") if bools else y


@operation
def matmul(x1: Any, x2: Any) -> Array:
    """Product of matrices, which are the last two axes; the axes before broadcast. One with one axis is a vector.

    >>> matmul([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0])
    array([3., 7.], dtype=float32)
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.matmul(x1, x2)
    (a, b), bools = _factors(x1, x2)
    return _product(namespace(a, b).matmul(a, b), bools)


@operation
def dot(x1: Any, x2: Any) -> Array:
    """Product along the last axis of x1 and the last but one of x2, or its only one; with a number, the multiple.

    >>> float(dot([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    (a, b), bools = _factors(x1, x2)
    if not a.shape or not b.shape:
        return _product(a * b, bools)
    along = (-1 if len(b.shape) == 1 else -2) % len(b.shape)
    return _product(_tensordot(a, b, [len(a.shape) - 1], [along]), bools)


@operation
def inner(x1: Any, x2: Any) -> Array:
    """Product along the last axes of both; with a number, the multiple.

    >>> float(inner([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    (a, b), bools = _factors(x1, x2)
    if not a.shape or not b.shape:
        return _product(a * b, bools)
    return _product(_tensordot(a, b, [len(a.shape) - 1], [len(b.shape) - 1]), bools)


@operation
def vdot(x1: Any, x2: Any) -> Array:
    """Sum of the products of all elements, in their order.

    >>> float(vdot([[1.0, 2.0]], [[3.0], [4.0]]))
    11.0
    """
    (a, b), bools = _factors(x1, x2)
    xp = namespace(a, b)
    a, b = (xp.reshape(one, (math.prod(one.shape),)) for one in (a, b))
    return _product(_tensordot(a, b, [0], [0]), bools)


@operation
def outer(x1: Any, x2: Any) -> Array:
    """Products of each element of x1 with each of x2: (n,) and (m,), or flattened to that, make (n, m).

    >>> outer([1.0, 2.0], [3.0, 4.0]).tolist()
    [[3.0, 4.0], [6.0, 8.0]]
    """
    a, b = promote(x1, x2)
    xp = namespace(a, b)
    a, b = xp.reshape(a, (math.prod(a.shape), 1)), xp.reshape(b, (1, math.prod(b.shape)))
    return xp.logical_and(a, b) if is_bool(a) else a * b


@operation
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Array:
    """Sums of products along axes of both.

    axes : how many, the last ones of x1 and the first ones of x2; or a pair of the axes of x1 and those of x2.

    >>> float(tensordot([[1.0, 2.0]], [[3.0, 4.0]], axes=2))
    11.0
    """
    (a, b), bools = _factors(x1, x2)
    if isinstance(axes, int):
        of_a, of_b = list(range(len(a.shape) - axes, len(a.shape))), list(range(axes))
    else:
        of_a, of_b = ([one] if isinstance(one, int) else list(one) for one in axes)
    of_a = [positive_axis(i, len(a.shape), "tensordot") for i in of_a]
    of_b = [positive_axis(i, len(b.shape), "tensordot") for i in of_b]
    if [a.shape[i] for i in of_a] != [b.shape[i] for i in of_b]:
        raise ValueError(
            f"tensordot: axes {of_a} of shape {tuple(a.shape)} and {of_b} of shape {tuple(b.shape)} have other sizes"
        )
    return _product(_tensordot(a, b, of_a, of_b), bools)


def _tensordot(a: Array, b: Array, of_a: list[int], of_b: list[int]) -> Array:
    """One product of matrices, whatever the axes."""
    xp = namespace(a, b)
    free_a = [i for i in range(len(a.shape)) if i not in of_a]
    free_b = [i for i in range(len(b.shape)) if i not in of_b]
    if [a.shape[i] for i in of_a] != [b.shape[i] for i in of_b]:
        raise ValueError(f"the shapes {tuple(a.shape)} and {tuple(b.shape)} do not go together in a product")
    rows, columns = math.prod(a.shape[i] for i in free_a), math.prod(b.shape[i] for i in free_b)
    depth = math.prod(a.shape[i] for i in of_a)
    left = xp.reshape(_permuted(xp, a, [*free_a, *of_a]), (rows, depth))
    right = xp.reshape(_permuted(xp, b, [*of_b, *free_b]), (depth, columns))
    return xp.reshape(xp.matmul(left, right), (*[a.shape[i] for i in free_a], *[b.shape[i] for i in free_b]))


def _permuted(xp: Any, x: Array, order: Sequence[int]) -> Array:
    return x if list(order) == list(range(len(x.shape))) else xp.permute_dims(x, tuple(order))


@operation
def kron(x1: Any, x2: Any) -> Array:
    """Kronecker product: x1 with each element replaced by its product with x2.

    >>> kron([1.0, 10.0], [1.0, 2.0])
    array([ 1.,  2., 10., 20.], dtype=float32)
    """
    a, b = promote(x1, x2)
    xp = namespace(a, b)
    rank = max(len(a.shape), len(b.shape))
    of_a = (*[1] * (rank - len(a.shape)), *a.shape)
    of_b = (*[1] * (rank - len(b.shape)), *b.shape)
    left = xp.reshape(a, tuple(n for size in of_a for n in (size, 1)))
    right = xp.reshape(b, tuple(n for size in of_b for n in (1, size)))
    y = xp.logical_and(left, right) if is_bool(a) else left * right
    return xp.reshape(y, tuple(n * m for n, m in zip(of_a, of_b, strict=True)))


@operation
def cross(x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Array:
    """Cross product of vectors of 3 elements; of 2 the third one is 0, and of both 2, it is the third element alone.

    axisa, axisb, axisc : where the elements are in x1, x2 and the result; axis : the same for all three.

    >>> cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    array([0., 0., 1.], dtype=float32)
    """
    a, b = promote(x1, x2)
    xp = namespace(a, b)
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = xp.moveaxis(a, axisa, -1), xp.moveaxis(b, axisb, -1)
    sizes = a.shape[-1], b.shape[-1]
    if not {*sizes} <= {2, 3}:
        raise ValueError(f"cross: vectors have 2 or 3 elements, got {sizes[0]} and {sizes[1]}")
    (a0, a1, *a2), (b0, b1, *b2) = ([one[..., i] for i in range(one.shape[-1])] for one in (a, b))
    last = a0 * b1 - a1 * b0
    if not a2 and not b2:
        return last
    first = (a1 * b2[0] if b2 else 0.0 * last) - (a2[0] * b1 if a2 else 0.0 * last)
    second = (a2[0] * b0 if a2 else 0.0 * last) - (a0 * b2[0] if b2 else 0.0 * last)
    return xp.moveaxis(xp.stack(list(xp.broadcast_arrays(first, second, last)), axis=-1), -1, axisc)


@operation
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Array:
    """Sum of products in Einstein's notation.

    subscripts : a letter for each axis of each operand, and of the result: "ij,jk->ik". Letters that are not in the
    result are summed over; without "->", the result has those that occur once, in alphabetical order. "..." are axes
    that broadcast. Several operands are multiplied from left to right.

    >>> einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0])
    array([3., 7.], dtype=float32)
    """
    if unknown := {*kwargs} - {"optimize", "precision"}:
        raise TypeError(f"einsum has no argument {sorted(unknown)[0]!r}")
    arrays, bools = _factors(*operands)
    names, wanted = _letters(subscripts, [len(one.shape) for one in arrays])
    sizes: dict[str, int] = {}
    for letters, one in zip(names, arrays, strict=True):
        for letter, n in zip(letters, one.shape, strict=True):
            if sizes.setdefault(letter, n) not in (n, 1) and n != 1:
                raise ValueError(f"einsum {subscripts!r}: {letter} is of size {sizes[letter]} and of size {n}")
            sizes[letter] = max(sizes[letter], n) if n else 0
    terms = [_single(one, letters, subscripts) for one, letters in zip(arrays, names, strict=True)]
    y, known = terms[0]
    y, known = _summed(y, known, {*wanted}.union(*(letters for _, letters in terms[1:])))
    for position, (other, letters) in enumerate(terms[1:], start=2):
        later = {*wanted}.union(*(rest for _, rest in terms[position:]))
        y, known = _pair(y, known, other, letters, later)
    xp = namespace(y)
    if known != wanted:
        y = _permuted(xp, y, [known.index(letter) for letter in wanted])
    return _product(y, bools)


def _letters(subscripts: str, ranks: list[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, in place of "..." letters of their own."""
    text = subscripts.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    parts = inputs.split(",")
    if len(parts) != len(ranks):
        raise ValueError(f"einsum {subscripts!r} names {len(parts)} operands, but there are {len(ranks)}")
    used = {letter for letter in text if letter.isalpha()}
    spare = [chr(code) for code in (*range(65, 91), *range(97, 123), *range(192, 600)) if chr(code) not in used]
    most = max((n - len(p.replace("...", "")) for p, n in zip(parts, ranks, strict=True) if "..." in p), default=0)
    dots = "".join(spare[: max(most, 0)])
    names = []
    for part, rank in zip(parts, ranks, strict=True):
        free = rank - len(part.replace("...", ""))
        if free < 0 or (free and "..." not in part):
            raise ValueError(f"einsum {subscripts!r}: {part!r} does not name the {rank} axes of its operand")
        names.append(part.replace("...", dots[len(dots) - free :]))
    together = "".join(names)
    if not arrow:
        once = sorted(letter for letter in {*together} if together.count(letter) == 1 and letter not in dots)
        return names, dots + "".join(once)
    output = output.replace("...", dots)
    if missing := [letter for letter in output if letter not in together]:
        raise ValueError(f"einsum {subscripts!r}: the result has {missing[0]!r}, which no operand has")
    if len({*output}) < len(output):
        raise ValueError(f"einsum {subscripts!r}: the result names an axis twice")
    return names, output


def _single(x: Array, letters: str, subscripts: str) -> tuple[Array, str]:
    """An operand without repeated letters: of those, the diagonal."""
    xp = namespace(x)
    for letter in dict.fromkeys(letters):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ValueError(
                    f"einsum {subscripts!r}: a diagonal of axes of sizes {x.shape[first]}, {x.shape[second]}"
                )
            rest = [i for i in range(len(letters)) if i not in (first, second)]
            x = xp.linalg.diagonal(xp.permute_dims(x, (*rest, first, second)))
            letters = "".join(letters[i] for i in rest) + letter
    return x, letters


def _summed(x: Array, letters: str, kept: set[str]) -> tuple[Array, str]:
    """The sum over the axes whose letters nobody wants."""
    axes = tuple(i for i, letter in enumerate(letters) if letter not in kept)
    if not axes:
        return x, letters
    return namespace(x).sum(x, axis=axes, dtype=x.dtype), "".join(one for one in letters if one in kept)


def _pair(a: Array, of_a: str, b: Array, of_b: str, kept: set[str]) -> tuple[Array, str]:
    """The product of two, as a stack of products of matrices, with the letters of the result."""
    a, of_a = _summed(a, of_a, kept | {*of_b})
    b, of_b = _summed(b, of_b, kept | {*of_a})
    xp = namespace(a, b)
    both = [one for one in of_a if one in of_b and one in kept]
    summed = [one for one in of_a if one in of_b and one not in kept]
    left, right = [one for one in of_a if one not in of_b], [one for one in of_b if one not in of_a]
    size_a, size_b = dict(zip(of_a, a.shape, strict=True)), dict(zip(of_b, b.shape, strict=True))
    a, b = (_widened(xp, *one, summed) for one in ((a, of_a, size_a, size_b), (b, of_b, size_b, size_a)))
    depth = math.prod(max(size_a[one], size_b[one]) if size_a[one] and size_b[one] else 0 for one in summed)
    stack_a, stack_b = [size_a[one] for one in both], [size_b[one] for one in both]
    rows, columns = [size_a[one] for one in left], [size_b[one] for one in right]
    a = _permuted(xp, a, [of_a.index(one) for one in (*both, *left, *summed)])
    b = _permuted(xp, b, [of_b.index(one) for one in (*both, *summed, *right)])
    a = xp.reshape(a, (*stack_a, math.prod(rows), depth))
    b = xp.reshape(b, (*stack_b, depth, math.prod(columns)))
    y = a * b if depth == 1 and not rows and not columns else xp.matmul(a, b)
    return xp.reshape(y, (*y.shape[:-2], *rows, *columns)), "".join((*both, *left, *right))


def _widened(xp: Any, x: Array, letters: str, own: dict[str, int], other: dict[str, int], summed: list[str]) -> Array:
    """The array with axes of size 1 as long as the other one has them, where they are summed over."""
    shape = tuple(other[one] if one in summed and own[one] == 1 else n for one, n in zip(letters, x.shape, strict=True))
    return x if shape == tuple(x.shape) else xp.broadcast_to(x, shape)
