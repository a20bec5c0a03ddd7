"""YAML in which nothing is something else than it looks: no key twice, and no number that is written like a text."""

from __future__ import annotations

import re
from typing import Any

import yaml

# Octal and base 60: YAML 1.1 reads 00123 as 83, and 12:30 as 750.
_ODD_NUMBER = re.compile(r"[-+]?(?:0[0-9_]+|.*:.*)")


class PlainLoader(yaml.SafeLoader):
    """Loads plain values; what is doubtful raises a YAMLError with its place."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _refused(key, f"the key {key.value!r} stands there a second time; keep one")
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A number, if everybody would read it as that number."""
        if _ODD_NUMBER.fullmatch(node.value):
            raise _refused(node, f"{node.value} would be read as another number; write it in quotes")
        is_whole = node.tag == "tag:yaml.org,2002:int"
        return self.construct_yaml_int(node) if is_whole else self.construct_yaml_float(node)


for _tag in ("int", "float"):
    PlainLoader.add_constructor(f"tag:yaml.org,2002:{_tag}", PlainLoader.construct_number)


def _refused(node: yaml.Node, problem: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)
