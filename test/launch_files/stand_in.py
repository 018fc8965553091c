# SPDX-License-Identifier: Apache-2.0
"""A stand-in for launch and launch_ros, which are not on the Python index: it evaluates, and starts nothing.

It has the part of their interface that our launch files use, as strict as theirs: an unknown keyword, an
argument outside its choices, a configuration that nobody declared and a parameter of a wrong type are errors.
"""

from __future__ import annotations

import runpy
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import yaml


@dataclass
class Context:
    """What a launch knows while it runs. ``share``: the installed share folders, by package."""

    configurations: dict[str, str]
    share: dict[str, Path]
    warnings: list[str] = field(default_factory=list)
    started: list[Started] = field(default_factory=list)
    declared: dict[str, DeclareLaunchArgument] = field(default_factory=dict)


@dataclass
class Started:
    """A node as it would be started. ``parameters``: files (str) and values (dict), the last one wins."""

    package: str
    executable: str
    name: str | None
    namespace: str | None
    parameters: list[str | dict[str, Any]]
    remappings: dict[str, str]
    arguments: list[str]


class Substitution:
    def perform(self, context: Context) -> str:
        raise NotImplementedError


def performed(value, context: Context) -> str:
    """A string, a substitution, or a list of both that are joined."""
    parts = value if isinstance(value, list | tuple) else [value]
    assert all(isinstance(part, str | Substitution) for part in parts), f"no substitution: {value!r}"
    return "".join(part if isinstance(part, str) else part.perform(context) for part in parts)


class LaunchConfiguration(Substitution):
    def __init__(self, variable_name: str) -> None:
        self.name = variable_name

    def perform(self, context: Context) -> str:
        assert self.name in context.configurations, f"launch configuration {self.name!r} does not exist"
        return context.configurations[self.name]


class PathJoinSubstitution(Substitution):
    def __init__(self, substitutions: list) -> None:
        self.parts = substitutions

    def perform(self, context: Context) -> str:
        return str(Path(*(performed(part, context) for part in self.parts)))


class PythonExpression(Substitution):
    def __init__(self, expression) -> None:
        self.expression = expression

    def perform(self, context: Context) -> str:
        return str(eval(performed(self.expression, context), {}))


class FindPackageShare(Substitution):
    def __init__(self, package: str) -> None:
        self.package = package

    def perform(self, context: Context) -> str:
        return str(context.share[self.package])


class ParameterValue:
    """A parameter of a type of its own. A plain string is not taken for a number or a boolean."""

    def __init__(self, value, *, value_type: type) -> None:
        if not isinstance(value, Substitution | value_type):
            raise TypeError(f"{value=} is not an instance of {value_type}")
        self.value, self.type = value, value_type

    def evaluate(self, context: Context):
        text = performed(self.value, context) if isinstance(self.value, Substitution) else self.value
        if self.type is bool:
            value = yaml.safe_load(text)
            assert isinstance(value, bool), f"{text!r} is not a boolean"
            return value
        return self.type(text)


class DeclareLaunchArgument:
    def __init__(self, name: str, *, default_value=None, description=None, choices=None) -> None:
        self.name, self.default, self.description, self.choices = name, default_value, description, choices

    def visit(self, context: Context) -> None:
        # Of several declarations along the includes the outermost is the one that counts.
        context.declared.setdefault(self.name, self)
        if self.name not in context.configurations:
            assert self.default is not None, f"argument {self.name} is required"
            context.configurations[self.name] = performed(self.default, context)
        value = context.configurations[self.name]
        assert not self.choices or value in self.choices, f"{self.name}:={value}; expected {self.choices}"


class OpaqueFunction:
    def __init__(self, *, function) -> None:
        self.function = function

    def visit(self, context: Context) -> None:
        for entity in self.function(context) or []:
            entity.visit(context)


class LaunchDescription:
    def __init__(self, entities: list) -> None:
        self.entities = entities

    def visit(self, context: Context) -> None:
        for entity in self.entities:
            entity.visit(context)


class PythonLaunchDescriptionSource:
    def __init__(self, launch_file_path) -> None:
        self.path = launch_file_path

    def load(self, context: Context) -> LaunchDescription:
        return runpy.run_path(performed(self.path, context))["generate_launch_description"]()


class IncludeLaunchDescription:
    """As the real one, it does not scope: what it sets stays set."""

    def __init__(self, launch_description_source, *, launch_arguments=()) -> None:
        self.source, self.arguments = launch_description_source, list(launch_arguments)

    def visit(self, context: Context) -> None:
        for name, value in self.arguments:
            context.configurations[performed(name, context)] = performed(value, context)
        self.source.load(context).visit(context)


class Node:
    def __init__(
        self,
        *,
        package,
        executable,
        name=None,
        namespace=None,
        output=None,
        parameters=(),
        remappings=(),
        arguments=(),
    ) -> None:
        assert output in (None, "screen", "log", "both")
        self.package, self.executable, self.name, self.namespace = package, executable, name, namespace
        self.parameters, self.remappings, self.arguments = parameters, remappings, arguments

    def visit(self, context: Context) -> None:
        context.started.append(
            Started(
                package=performed(self.package, context),
                executable=performed(self.executable, context),
                name=None if self.name is None else performed(self.name, context),
                namespace=None if self.namespace is None else performed(self.namespace, context),
                parameters=[self._evaluated(each, context) for each in self.parameters],
                remappings={performed(a, context): performed(b, context) for a, b in self.remappings},
                arguments=[performed(each, context) for each in self.arguments],
            )
        )

    @staticmethod
    def _evaluated(parameters, context: Context) -> str | dict[str, Any]:
        if not isinstance(parameters, dict):
            return performed(parameters, context)
        return {
            name: value.evaluate(context) if isinstance(value, ParameterValue) else value
            for name, value in parameters.items()
        }


MODULES: dict[str, list[type]] = {
    "launch": [LaunchDescription],
    "launch.actions": [DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction],
    "launch.launch_description_sources": [PythonLaunchDescriptionSource],
    "launch.substitutions": [LaunchConfiguration, PathJoinSubstitution, PythonExpression],
    "launch_ros": [],
    "launch_ros.actions": [Node],
    "launch_ros.parameter_descriptions": [ParameterValue],
    "launch_ros.substitutions": [FindPackageShare],
}


class PackageNotFoundError(KeyError):
    """As of ament_index_python."""


def prefix_of(package: str, share: dict[str, Path]) -> Path:
    if package not in share:
        raise PackageNotFoundError(package)
    return share[package].parents[1]


def launch(file: Path, share: dict[str, Path], **given: str) -> Context:
    """Run a launch file with arguments from a command line."""
    modules = {}
    for name, classes in MODULES.items():
        modules[name] = types.ModuleType(name)
        for each in classes:
            setattr(modules[name], each.__name__, each)
    context = Context(dict(given), share)
    modules |= {name: types.ModuleType(name) for name in ("launch.logging", "ament_index_python.packages")}
    modules["launch.logging"].get_logger = lambda name: types.SimpleNamespace(warning=context.warnings.append)
    modules["ament_index_python.packages"].PackageNotFoundError = PackageNotFoundError
    modules["ament_index_python.packages"].get_package_prefix = lambda name: str(prefix_of(name, share))
    with mock.patch.dict(sys.modules, modules):
        PythonLaunchDescriptionSource(str(file)).load(context).visit(context)
    return context
