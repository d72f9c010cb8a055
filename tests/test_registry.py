"""Names, suggestions, custom objects, and the way to a configuration and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from nnx.registry import Configurable, Registry, constructor_arguments, custom_objects, serialize

SHAPES: Registry[Any] = Registry("shape")


class Shape(Configurable):
    def __init__(self, name: str | None = None, colour: str = "black") -> None:
        self.name, self.colour = name, colour


@SHAPES.register("box", "rect")
class Rectangle(Shape):
    def __init__(self, width: float, height: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width, self.height = width, height


@SHAPES.register()
class UnitCircle(Shape):
    pass


@SHAPES.register()
class Group(Shape):
    def __init__(self, members: list[Shape], *, spacing: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.members, self.spacing = members, spacing

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Group:
        return cls(**{**config, "members": [SHAPES.build(member) for member in config["members"]]})


@SHAPES.register("spin")
def turn_left(shape: Shape) -> Shape:
    return shape


class TestNames:
    @pytest.mark.parametrize("name", ["Rectangle", "rectangle", "RECTANGLE", "box", "Box", "rect", "_rect_"])
    def test_case_underscores_and_aliases(self, name: str) -> None:
        assert SHAPES.find(name) is Rectangle

    def test_camel_case_and_snake_case_are_one_name(self) -> None:
        assert SHAPES.find("unit_circle") is SHAPES.find("UnitCircle") is UnitCircle
        assert SHAPES.find("turnLeft") is SHAPES.find("spin") is turn_left

    def test_objects_have_their_own_names_once(self) -> None:
        assert list(SHAPES.objects) == ["Rectangle", "UnitCircle", "Group", "turn_left"]

    def test_a_near_name_is_suggested(self) -> None:
        with pytest.raises(ValueError, match=r"^unknown shape 'rectangel': did you mean 'Rectangle'\?$"):
            SHAPES.find("rectangel")

    def test_several_near_names_are_suggested(self) -> None:
        registry: Registry[Any] = Registry("thing")
        for name in ("sparse_loss", "sparse_lost"):
            registry.register()(type(name, (), {}))
        with pytest.raises(ValueError, match=r"did you mean 'sparse_loss' or 'sparse_lost'\?"):
            registry.find("sparse_los")

    def test_without_a_near_name_all_are_listed(self) -> None:
        with pytest.raises(
            ValueError, match=r"^unknown shape 'xyz': known are: Group, Rectangle, UnitCircle, turn_left$"
        ):
            SHAPES.find("xyz")


class TestResolve:
    def test_a_name_a_class_a_configuration_an_object(self) -> None:
        circle = UnitCircle()
        assert SHAPES.resolve(circle) is circle
        assert type(SHAPES.resolve("unit_circle")) is UnitCircle
        assert type(SHAPES.resolve(UnitCircle)) is UnitCircle
        built = SHAPES.resolve({"class_name": "Rectangle", "config": {"width": 2.0, "colour": "red"}})
        assert (built.width, built.height, built.colour) == (2.0, 1.0, "red")
        assert SHAPES.resolve(None) is None

    def test_functions_are_not_called(self) -> None:
        assert SHAPES.resolve("turn_left") is turn_left
        assert SHAPES.resolve(turn_left) is turn_left

    @pytest.mark.parametrize("config", [{}, {"config": {}}, {"class_name": 3}, {"class_name": None}])
    def test_what_is_no_configuration(self, config: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="not the configuration of a shape"):
            SHAPES.resolve(config)

    def test_a_configuration_without_arguments(self) -> None:
        assert type(SHAPES.build({"class_name": "UnitCircle"})) is UnitCircle
        assert type(SHAPES.build({"class_name": "UnitCircle", "config": None})) is UnitCircle


class TestCustomObjects:
    def test_are_found_first_and_only_inside_the_block(self) -> None:
        class Mine(Shape):
            pass

        with custom_objects({"Mine": Mine, "Rectangle": Mine}):
            assert SHAPES.find("Mine") is Mine
            assert SHAPES.find("Rectangle") is Mine
            with custom_objects({"Other": UnitCircle}), custom_objects(None):
                assert SHAPES.find("Mine") is Mine
                assert SHAPES.find("Other") is UnitCircle
        assert SHAPES.find("Rectangle") is Rectangle
        with pytest.raises(ValueError, match="unknown shape 'Other'"):
            SHAPES.find("Other")

    def test_are_forgotten_after_an_exception(self) -> None:
        with pytest.raises(KeyError), custom_objects({"Mine": Shape}):
            raise KeyError
        with pytest.raises(ValueError, match="unknown shape 'Mine'"):
            SHAPES.find("Mine")


class TestConfigurations:
    def test_round_trip_through_json(self) -> None:
        group = Group([Rectangle(2.0, colour="red"), UnitCircle(name="c")], spacing=3)
        config = json.loads(json.dumps(serialize(group)))
        copy = SHAPES.build(config)
        assert serialize(copy) == config
        assert [type(member) for member in copy.members] == [Rectangle, UnitCircle]
        assert (copy.spacing, copy.members[0].colour, copy.members[1].name) == (3, "red", "c")

    def test_every_argument_is_there_also_those_of_the_base(self) -> None:
        assert Rectangle(2.0).get_config() == {"width": 2.0, "height": 1.0, "name": None, "colour": "black"}

    def test_from_config(self) -> None:
        rectangle = Rectangle.from_config({"width": 1.0, "name": "r"})
        assert (rectangle.width, rectangle.name) == (1.0, "r")

    def test_values(self) -> None:
        assert serialize(
            {
                "none": None,
                "pair": (1, 2.5),
                "numpy": [np.float32(0.5), np.int64(3), np.arange(2)],
                "function": turn_left,
                "nested": {"object": UnitCircle()},
                1: True,
            }
        ) == {
            "none": None,
            "pair": [1, 2.5],
            "numpy": [0.5, 3, [0, 1]],
            "function": "turn_left",
            "nested": {"object": {"class_name": "UnitCircle", "config": {"name": None, "colour": "black"}}},
            "1": True,
        }

    @pytest.mark.parametrize("value", [lambda x: x, object()], ids=["lambda", "object"])
    def test_what_has_no_name_cannot_be_saved(self, value: Any) -> None:
        with pytest.raises(
            TypeError, match=r"cannot be saved in a configuration; give it a name .* or a get_config meth"
        ):
            serialize([value])


class TestConstructorArguments:
    def test_keyword_arguments_of_a_subclass_stand_for_those_of_its_base(self) -> None:
        assert constructor_arguments(Rectangle) == ("width", "height", "name", "colour")
        assert constructor_arguments(Group) == ("members", "spacing", "name", "colour")

    def test_an_inherited_constructor(self) -> None:
        assert constructor_arguments(UnitCircle) == ("name", "colour")

    def test_without_keyword_arguments_the_base_is_hidden(self) -> None:
        class Square(Rectangle):
            def __init__(self, side: float) -> None:
                super().__init__(side, side)
                self.side = side

        assert constructor_arguments(Square) == ("side",)
        assert Square.from_config(Square(3.0).get_config()).width == 3.0

    def test_an_argument_that_both_have_comes_once(self) -> None:
        class Red(Rectangle):
            def __init__(self, colour: str = "red", **kwargs: Any) -> None:
                super().__init__(colour=colour, **kwargs)

        assert constructor_arguments(Red) == ("colour", "width", "height", "name")
        assert Red(width=1.0).get_config()["colour"] == "red"

    def test_positional_packs_are_left_out(self) -> None:
        class Anything(Configurable):
            def __init__(self, first: int, *others: int, last: int = 0) -> None:
                self.first, self.last = first, last

        assert constructor_arguments(Anything) == ("first", "last")

    def test_without_a_constructor(self) -> None:
        assert constructor_arguments(Configurable) == ()
        assert Configurable().get_config() == {}
