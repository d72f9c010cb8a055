"""The counters count what a GPU would be asked to do."""

import cupy
import cupyx
import numpy as np
import pytest
from cupy_on_cpu import Counts, count


@pytest.fixture
def a():
    return cupy.arange(12, dtype="f4").reshape(3, 4)


def test_elementwise_is_one_launch(a):
    with count() as c:
        a + a
    assert c.launches == 1
    assert c.kernel_names == ["cupy_add__float32_float32_float32"]
    assert c.device_to_host == c.host_to_device == c.synchronizations == c.gemms == 0


def test_reduction_is_one_launch(a):
    with count() as c:
        a.sum(axis=0)
    assert (c.launches, c.device_to_host) == (1, 0)


def test_float_is_one_copy_and_one_wait(a):
    with count() as c:
        assert float(a.sum()) == 66
    assert (c.launches, c.device_to_host, c.synchronizations) == (1, 1, 1)


def test_bool_and_item_copy(a):
    with count() as c:
        bool((a > 3).any())
        a[0, 0].item()
    assert c.device_to_host == 2


def test_asarray_is_one_copy():
    with count() as c:
        cupy.asarray(np.ones((3, 4), "f4"))
    assert (c.host_to_device, c.device_to_host, c.launches) == (1, 0, 0)


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_matmul_is_one_gemm(batch):
    a, b = cupy.ones((*batch, 3, 4), "f4"), cupy.ones((*batch, 4, 5), "f4")
    with count() as c:
        a @ b
    assert (c.gemms, c.launches) == (1, 0)


def test_sort(a):
    with count() as c:
        cupy.sort(a, axis=1)
    assert c.sorts == 1


def test_zeros_is_a_memset():
    with count() as c:
        cupy.zeros(10)
    assert (c.memsets, c.launches) == (1, 0)


def test_synchronize():
    with count() as c:
        cupy.cuda.Device().synchronize()
        cupy.cuda.get_current_stream().synchronize()
    assert c.synchronizations == 2


def test_allocations_are_those_the_pool_cannot_serve():
    cupy.get_default_memory_pool().free_all_blocks()
    with count() as c:
        cupy.empty(1 << 22, "f4")  # at once back in the pool
        cupy.empty(1 << 22, "f4")
    assert c.allocations == 1


def test_masks_wait_for_the_device_and_where_does_not(a):
    mask = a > 3
    with count() as selection:
        a[mask]
    with count() as assignment:
        a[mask] = 0
    with count() as where:
        cupy.where(mask, 0, a)
    assert (selection.device_to_host, selection.synchronizations) == (1, 1)
    assert (assignment.device_to_host, assignment.synchronizations) == (1, 1)
    assert (where.device_to_host, where.synchronizations) == (0, 0)


def test_counters_nest_and_stop(a):
    with count() as outer:
        a + 1
        with count() as inner:
            a + 1
        a + 1
    a + 1
    assert (outer.launches, inner.launches) == (3, 1)


def test_counting_stops_after_an_error(a):
    with pytest.raises(ZeroDivisionError), count() as c:
        raise ZeroDivisionError
    a + 1
    assert c == Counts()


def test_fused_function_is_one_launch(a):
    @cupy.fuse()
    def f(x):
        return cupy.maximum(x * 2 + 1, 0)

    f(a)
    with count() as c:
        f(a)
    assert c.launches == 1


@pytest.mark.filterwarnings("ignore:cupyx.allow_synchronize will be removed")
def test_cupy_refuses_synchronization_where_told(a):
    with cupyx.allow_synchronize(False), pytest.raises(Exception, match="synchron"):
        float(a.sum())


def test_fixture(cupy_counts, a):
    assert cupy_counts.launches == 1  # of arange, in the other fixture
    a * 2
    assert cupy_counts.launches == 2
