"""Fingerprints of texts: numbers of 64 bits that are the same on every machine, as TensorFlow makes them."""

from __future__ import annotations

from collections.abc import Sequence

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_CAT = 0xC6A4A7935BD1E995


def farm_fingerprint(text: bytes) -> int:
    """Fingerprint64 of FarmHash (Pike, github.com/google/farmhash, `farmhashna::Hash64`), from 0 to 2**64 - 1.

    >>> farm_fingerprint(b"a") % 1000
    939
    """
    length = len(text)
    if length <= 16:
        return _up_to_16(text, length)
    if length <= 32:
        return _up_to_32(text, length)
    if length <= 64:
        return _up_to_64(text, length)
    x = 81
    y = (81 * _K1 + 113) & _MASK
    z = _mixed(y * _K2 + 113) * _K2 & _MASK
    v = w = (0, 0)
    x = (x * _K2 + _word(text, 0)) & _MASK
    end = (length - 1) // 64 * 64
    for start in range(0, end, 64):
        x, y, z, v, w = _round(text, start, (x, y, z), v, w, _K1, 1)
    rest = (length - 1) & 63
    mul = _K1 + ((z & 0xFF) << 1)
    w = ((w[0] + rest) & _MASK, w[1])
    v = ((v[0] + w[0]) & _MASK, v[1])
    w = ((w[0] + v[0]) & _MASK, w[1])
    x, y, z, v, w = _round(text, end + rest - 63, (x, y, z), v, w, mul, 9)
    return _of_two(
        _of_two(v[0], w[0], mul) + _mixed(y) * _K0 + z,
        _of_two(v[1], w[1], mul) + x,
        mul,
    )


def sip_fingerprint(text: bytes, key: Sequence[int]) -> int:
    """SipHash-2-4 of a text under a key of two numbers of 64 bits (Aumasson, Bernstein, 2012), from 0 to 2**64 - 1.

    >>> hex(sip_fingerprint(bytes(range(15)), (0x0706050403020100, 0x0F0E0D0C0B0A0908)))
    '0xa129ca6149be45e5'
    """
    k0, k1 = (number & _MASK for number in key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    padded = text + bytes(7 - len(text) % 8) + bytes([len(text) & 0xFF])
    for start in range(0, len(padded), 8):
        word = _word(padded, start)
        v[3] ^= word
        _sip_round(v)
        _sip_round(v)
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(4):
        _sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def joined_fingerprint(one: int, other: int) -> int:
    """The fingerprint of two in their order, TensorFlow's `FingerprintCat64`.

    >>> joined_fingerprint(1, 2) == joined_fingerprint(2, 1)
    False
    """
    result = one ^ _CAT ^ (_mixed(other * _CAT) * _CAT & _MASK)
    result = _mixed(result * _CAT) * _CAT
    return _mixed(result)


def _word(text: bytes, start: int) -> int:
    return int.from_bytes(text[start : start + 8], "little")


def _half_word(text: bytes, start: int) -> int:
    return int.from_bytes(text[start : start + 4], "little")


def _rotated(value: int, shift: int) -> int:
    """The lower 64 bits of a number, turned to the right."""
    value &= _MASK
    return (value >> shift | value << (64 - shift)) & _MASK


def _mixed(value: int) -> int:
    value &= _MASK
    return value ^ value >> 47


def _of_two(u: int, v: int, mul: int) -> int:
    v &= _MASK
    a = _mixed(((u & _MASK) ^ v) * mul)
    return _mixed((v ^ a) * mul) * mul & _MASK


def _up_to_16(text: bytes, length: int) -> int:
    mul = _K2 + length * 2
    if length >= 8:
        a = _word(text, 0) + _K2
        b = _word(text, length - 8)
        return _of_two(_rotated(b, 37) * mul + a, (_rotated(a, 25) + b) * mul, mul)
    if length >= 4:
        return _of_two(length + (_half_word(text, 0) << 3), _half_word(text, length - 4), mul)
    if not length:
        return _K2
    y = text[0] + (text[length >> 1] << 8)
    z = length + (text[-1] << 2)
    return _mixed((y * _K2 ^ z * _K0) & _MASK) * _K2 & _MASK


def _up_to_32(text: bytes, length: int) -> int:
    mul = _K2 + length * 2
    a = _word(text, 0) * _K1
    b = _word(text, 8)
    c = _word(text, length - 8) * mul
    d = _word(text, length - 16) * _K2
    return _of_two(_rotated(a + b, 43) + _rotated(c, 30) + d, a + _rotated(b + _K2, 18) + c, mul)


def _up_to_64(text: bytes, length: int) -> int:
    mul = _K2 + length * 2
    a = _word(text, 0) * _K2
    b = _word(text, 8)
    c = _word(text, length - 8) * mul
    y = _rotated(a + b, 43) + _rotated(c, 30) + _word(text, length - 16) * _K2
    z = _of_two(y, a + _rotated(b + _K2, 18) + c, mul)
    e = _word(text, 16) * mul
    f = _word(text, 24)
    g = (y + _word(text, length - 32)) * mul
    h = (z + _word(text, length - 24)) * mul
    return _of_two(_rotated(e + f, 43) + _rotated(g, 30) + h, e + _rotated(f + a, 18) + g, mul)


Pair = tuple[int, int]


def _round(
    text: bytes, start: int, xyz: tuple[int, int, int], v: Pair, w: Pair, mul: int, weight: int
) -> tuple[int, int, int, Pair, Pair]:
    """64 bytes of a long text; in the last round the numbers weigh more."""
    x, y, z = xyz
    x = _rotated(x + y + v[0] + _word(text, start + 8), 37) * mul
    y = _rotated(y + v[1] + _word(text, start + 48), 42) * mul
    x = (x ^ w[1] * weight) & _MASK
    y += v[0] * weight + _word(text, start + 40)
    z = _rotated(z + w[0], 33) * mul & _MASK
    v = _weak(text, start, v[1] * mul, x + w[0])
    w = _weak(text, start + 32, z + w[1], y + _word(text, start + 16))
    return z, y & _MASK, x, v, w


def _weak(text: bytes, start: int, a: int, b: int) -> Pair:
    first, second, third, fourth = (_word(text, start + offset) for offset in (0, 8, 16, 24))
    a += first
    b = _rotated(b + a + fourth, 21)
    c = a
    a += second + third
    b += _rotated(a, 44)
    return (a + fourth) & _MASK, (b + c) & _MASK


def _sip_round(v: list[int]) -> None:
    v0, v1, v2, v3 = v
    v0 = (v0 + v1) & _MASK
    v1 = _rotated(v1, 51) ^ v0
    v0 = _rotated(v0, 32)
    v2 = (v2 + v3) & _MASK
    v3 = _rotated(v3, 48) ^ v2
    v0 = (v0 + v3) & _MASK
    v3 = _rotated(v3, 43) ^ v0
    v2 = (v2 + v1) & _MASK
    v1 = _rotated(v1, 47) ^ v2
    v2 = _rotated(v2, 32)
    v[:] = v0, v1, v2, v3
