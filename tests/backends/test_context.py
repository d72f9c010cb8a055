"""The backend context: nesting, threads, tasks, generators, fixtures, and the environment."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import nnx
from nnx.backends import context


@pytest.fixture
def process_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test sets for the whole process is reset after it."""
    monkeypatch.setattr(context, "_default", None)


def current() -> tuple[str, str | None, str]:
    placement = nnx.get_backend()
    return placement.name, placement.device, placement.dtype


NUMPY = ("numpy", None, "float32")


class TestContext:
    def test_nests_and_restores(self) -> None:
        assert current() == NUMPY
        with nnx.backend("array-api-strict", device="device1") as outer:
            assert current() == ("array-api-strict", "device1", "float32")
            assert outer is nnx.get_backend()
            with nnx.backend("numpy", dtype="float64"):
                assert current() == ("numpy", None, "float64")
            assert nnx.get_backend() is outer
        assert current() == NUMPY

    def test_restores_after_an_exception(self) -> None:
        with pytest.raises(KeyError), nnx.backend("numpy", dtype="float64"):
            raise KeyError
        assert current() == NUMPY

    def test_one_object_may_be_entered_again_and_inside_itself(self) -> None:
        double = nnx.backend("numpy", dtype="float64")
        for _ in range(2):
            with double, nnx.backend("numpy"), double:
                assert current() == ("numpy", None, "float64")
            assert current() == NUMPY

    def test_decorates_functions(self) -> None:
        @nnx.backend("array-api-strict")
        def name(depth: int) -> list[str]:
            """Docstring."""
            return [nnx.get_backend().name, *(name(depth - 1) if depth else [])]

        assert name(2) == ["array-api-strict"] * 3
        assert name.__doc__ == "Docstring."
        assert current() == NUMPY

    def test_decorates_generators_such_as_fixtures(self) -> None:
        @nnx.backend("numpy", dtype="float64")
        def fixture() -> Iterator[str]:
            yield nnx.get_backend().dtype
            assert nnx.get_backend().dtype == "float64"

        values = fixture()
        assert current() == NUMPY  # nothing has run yet
        assert next(values) == "float64"
        assert next(values, "end") == "end"
        assert current() == NUMPY

    def test_decorates_coroutines(self) -> None:
        @nnx.backend("numpy", dtype="float64")
        async def task() -> str:
            await asyncio.sleep(0)
            return nnx.get_backend().dtype

        assert asyncio.run(task()) == "float64"
        assert current() == NUMPY

    def test_generators_may_end_in_any_order(self) -> None:
        def inside(dtype: str) -> Iterator[None]:
            with nnx.backend("numpy", dtype=dtype):
                yield

        first, second = inside("float64"), inside("float16")
        next(first)
        next(second)
        first.close()
        assert nnx.get_backend().dtype == "float16"
        second.close()
        assert current() == NUMPY

    def test_left_in_a_context_that_it_was_not_entered_in(self) -> None:
        block = nnx.backend("numpy", dtype="float64")
        contextvars.copy_context().run(block.__enter__)
        with nnx.backend("numpy", dtype="float16"):
            block.__exit__(None, None, None)
            assert nnx.get_backend().dtype == "float16"


class TestThreadsAndTasks:
    def test_a_thread_starts_outside_of_the_blocks_of_others(self) -> None:
        seen: list[Any] = []
        with nnx.backend("numpy", dtype="float64"):
            thread = threading.Thread(target=lambda: seen.append(current()))
            thread.start()
            thread.join()
        assert seen == [NUMPY]

    @pytest.mark.usefixtures("process_default")
    def test_the_default_of_the_process_reaches_every_thread_but_a_block_goes_first(self) -> None:
        nnx.set_backend("array-api-strict", device="device2", dtype="float64")
        chosen = ("array-api-strict", "device2", "float64")
        seen: list[Any] = [current()]
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
        assert seen == [chosen, chosen]
        with nnx.backend("numpy"):
            assert current() == NUMPY
        assert current() == chosen

    def test_one_object_entered_by_two_threads_at_once(self) -> None:
        shared = nnx.backend("numpy", dtype="float64")
        barrier = threading.Barrier(2, timeout=10)
        seen: list[Any] = []

        def work(first_to_leave: bool) -> None:
            with shared:
                barrier.wait()
                if not first_to_leave:
                    barrier.wait()
                seen.append(nnx.get_backend().dtype)
            seen.append(current())
            if first_to_leave:
                barrier.wait()

        threads = [threading.Thread(target=work, args=(leaves,)) for leaves in (True, False)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == ["float64", NUMPY, "float64", NUMPY]

    def test_interleaved_tasks_keep_their_own(self) -> None:
        async def work(dtype: str, seen: list[str]) -> None:
            with nnx.backend("numpy", dtype=dtype):
                for _ in range(3):
                    seen.append(nnx.get_backend().dtype)
                    await asyncio.sleep(0)
            seen.append(nnx.get_backend().dtype)

        async def both() -> list[list[str]]:
            seen: list[list[str]] = [[], []]
            await asyncio.gather(work("float64", seen[0]), work("float16", seen[1]))
            return seen

        assert asyncio.run(both()) == [["float64"] * 3 + ["float32"], ["float16"] * 3 + ["float32"]]

    def test_a_task_inherits_the_block_in_which_it_was_created(self) -> None:
        async def work() -> str:
            return nnx.get_backend().dtype

        async def main() -> str:
            with nnx.backend("numpy", dtype="float64"):
                task = asyncio.ensure_future(work())
            return await task

        assert asyncio.run(main()) == "float64"


@pytest.fixture(params=["float64", "float16"])
def outer_dtype(request: pytest.FixtureRequest) -> Iterator[str]:
    with nnx.backend("numpy", dtype=request.param):
        yield request.param


@pytest.fixture
def inner_name(outer_dtype: str) -> Iterator[str]:
    with nnx.backend("array-api-strict"):
        yield outer_dtype


class TestFixtures:
    def test_blocks_of_fixtures_hold_during_the_test(self, inner_name: str) -> None:
        assert current() == ("array-api-strict", None, "float32")
        assert inner_name in ("float64", "float16")

    def test_and_not_longer(self) -> None:
        assert current() == NUMPY


class TestEnvironment:
    CODE = "import nnx; print(nnx.get_backend())"

    @staticmethod
    def run(code: str, name: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "NNX_BACKEND": name}
        return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)

    def test_chooses_the_backend(self) -> None:
        assert self.run(self.CODE, "array-api-strict").stdout == "array-api-strict\n"
        assert self.run(self.CODE, "").stdout == "numpy\n"

    def test_a_wrong_name_is_reported_where_a_backend_is_first_needed(self) -> None:
        assert self.run("import nnx; nnx.backend('numpy')", "numpi").returncode == 0
        message = self.run(self.CODE, "numpi").stderr.splitlines()[-1]
        assert message.startswith("ValueError: environment variable NNX_BACKEND=numpi: unknown backend 'numpi'")
        assert message.endswith("Did you mean 'numpy'?")
