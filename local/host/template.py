"""Read a SAM template the way a deployment does: check parameters, expand SAM resources, resolve intrinsic functions.

The expansion is AWS's own (aws-sam-translator). The `Rules` section is not evaluated: it guards a real deployment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ACCOUNT_ID = "123456789012"  # moto's
LOCAL_CODE = "s3://local/"  # SAM wants code in a bucket; what follows is a path beside the template

Lookup = Callable[[str, str | None], Any]

_NO_VALUE = object()
_SUBSTITUTION = re.compile(r"\$\{([^}]+)\}")


class TemplateError(Exception):
    """The template or its parameters cannot be used; the message names the place and the remedy."""


@dataclass(frozen=True)
class Resource:
    """One resource of the expanded template whose condition holds.

    Attributes:
        properties: As written, intrinsic functions unresolved.
    """

    logical_id: str
    type: str
    properties: Mapping[str, Any]


class Template:
    """An expanded template with its parameters.

    Args:
        path: The SAM template.
        parameters: Values by parameter name; defaults fill the rest.
        region: Value of AWS::Region.
        stack_name: Value of AWS::StackName.

    Raises:
        TemplateError: A parameter is unknown, missing or refused by its own pattern, or SAM refuses the template.
    """

    def __init__(self, path: Path, parameters: Mapping[str, str], *, region: str, stack_name: str) -> None:
        self.directory = path.resolve().parent
        source: dict[str, Any] = json.loads(json.dumps(yaml_parse(path.read_text(encoding="utf-8"))))
        self.parameters = _parameter_values(source.get("Parameters", {}), parameters)
        self._pseudo: dict[str, Any] = {
            "AWS::AccountId": ACCOUNT_ID,
            "AWS::NoValue": _NO_VALUE,
            "AWS::Partition": "aws",
            "AWS::Region": region,
            "AWS::StackId": f"arn:aws:cloudformation:{region}:{ACCOUNT_ID}:stack/{stack_name}/local",
            "AWS::StackName": stack_name,
            "AWS::URLSuffix": "amazonaws.com",
        }
        expanded = _expand(source, self.parameters, region)
        self._conditions: dict[str, Any] = expanded.get("Conditions", {})
        self.resources: dict[str, Resource] = {
            logical_id: Resource(logical_id, body["Type"], body.get("Properties", {}))
            for logical_id, body in expanded["Resources"].items()
            if "Condition" not in body or self.holds(body["Condition"])
        }

    def of_type(self, resource_type: str) -> list[Resource]:
        """Return the resources of one CloudFormation type, sorted by logical id."""
        found = [resource for resource in self.resources.values() if resource.type == resource_type]
        return sorted(found, key=lambda resource: resource.logical_id)

    def holds(self, condition: str) -> bool:
        """Evaluate a condition of the template by name."""
        if condition not in self._conditions:
            raise TemplateError(f"Condition {condition} is used but not defined in the template's Conditions.")
        return self._holds(self._conditions[condition])

    def resolve(self, value: Any, lookup: Lookup) -> Any:
        """Return `value` with every intrinsic function replaced.

        Args:
            value: Any part of a resource's properties.
            lookup: Called with a logical id and an attribute name (None for Ref); returns the resource's value.

        Raises:
            TemplateError: A function is unknown here or its arguments do not fit.
        """
        if isinstance(value, list):
            items = (self.resolve(item, lookup) for item in value)
            return [item for item in items if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Ref":
                return self._reference(argument, lookup)
            if name.startswith("Fn::"):
                return self._call(name, argument, lookup)
        resolved = {key: self.resolve(item, lookup) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not _NO_VALUE}

    def _reference(self, name: str, lookup: Lookup) -> Any:
        if name in self.parameters:
            return self.parameters[name]
        if name in self._pseudo:
            return self._pseudo[name]
        return lookup(name, None)

    def _call(self, name: str, argument: Any, lookup: Lookup) -> Any:
        if name == "Fn::If":
            condition, yes, no = argument
            return self.resolve(yes if self.holds(condition) else no, lookup)
        if name == "Fn::GetAtt":
            logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
            return lookup(logical_id, attribute)
        if name == "Fn::Sub":
            return self._substitute(argument, lookup)
        if name in {"Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or"}:
            return self._holds({name: argument})
        if name not in _LIST_FUNCTIONS:
            raise TemplateError(f"{name} is not known to the local host; add it to local/host/template.py.")
        first, second = self.resolve(argument, lookup)
        return _LIST_FUNCTIONS[name](first, second)

    def _substitute(self, argument: Any, lookup: Lookup) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument

        def replacement(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in variables:
                return str(self.resolve(variables[name], lookup))
            if "." in name:
                logical_id, attribute = name.split(".", 1)
                return str(lookup(logical_id, attribute))
            return str(self._reference(name, lookup))

        return _SUBSTITUTION.sub(replacement, text)

    def _holds(self, condition: Any) -> bool:
        name, argument = next(iter(condition.items()))
        if name == "Condition":
            return self.holds(argument)
        if name == "Fn::Not":
            return not self._holds(argument[0])
        if name == "Fn::And":
            return all(self._holds(part) for part in argument)
        if name == "Fn::Or":
            return any(self._holds(part) for part in argument)
        if name == "Fn::Equals":
            left, right = (self.resolve(part, _no_resources) for part in argument)
            return bool(left == right)
        raise TemplateError(f"A condition uses {name}; conditions know Equals, Not, And, Or and Condition.")


def _join(separator: str, items: list[Any]) -> str:
    return separator.join(str(item) for item in items)


def _split(separator: str, text: str) -> list[str]:
    return text.split(separator)


def _select(index: int | str, items: list[Any]) -> Any:
    if not 0 <= int(index) < len(items):
        raise TemplateError(f"Fn::Select cannot take element {index} of the {len(items)} in {items}.")
    return items[int(index)]


_LIST_FUNCTIONS: dict[str, Callable[..., Any]] = {"Fn::Join": _join, "Fn::Split": _split, "Fn::Select": _select}


def _no_resources(logical_id: str, attribute: str | None) -> Any:
    raise TemplateError(f"A condition refers to the resource {logical_id} ({attribute}); it may use only parameters.")


def _parameter_values(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise TemplateError(
            f"The template has no parameter {', '.join(unknown)}; it has {', '.join(sorted(declared))}."
        )
    values: dict[str, str] = {}
    for name, declaration in declared.items():
        if name not in given and "Default" not in declaration:
            raise TemplateError(f"Parameter {name} has no default and no value was given: {declaration['Description']}")
        value = str(given.get(name, declaration.get("Default")))
        if "AllowedValues" in declaration and value not in map(str, declaration["AllowedValues"]):
            raise TemplateError(f"Parameter {name} is {value!r}; it takes one of {declaration['AllowedValues']}.")
        if "AllowedPattern" in declaration and not re.fullmatch(declaration["AllowedPattern"], value):
            reason = declaration.get("ConstraintDescription", f"must match {declaration['AllowedPattern']}")
            raise TemplateError(f"Parameter {name} {reason}")
        values[name] = value
    return values


def _expand(source: dict[str, Any], parameters: Mapping[str, str], region: str) -> dict[str, Any]:
    for body in source["Resources"].values():
        for key in ("CodeUri", "ContentUri"):
            if key in body.get("Properties", {}):
                body["Properties"][key] = LOCAL_CODE + body["Properties"][key]
    # Every role and managed policy of ours is written out, so there is no policy map to load from IAM.
    translator = Translator({}, Parser(), boto_session=SimpleNamespace(region_name=region))
    expanded: dict[str, Any] = translator.translate(source, parameter_values=dict(parameters))
    return expanded
