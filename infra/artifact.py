"""What `chalice package` made, and what must be true of it before it is deployed."""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

MAX_ZIPPED_BYTES: Final = 50_000_000
"""Today's bundle is 36 MB, 23 of them the engine of analytics: a library that adds a third to it should
be a decision."""

UNCHECKED_HASH: Final = 0b01
"""Flags of a compiled file that Python takes as it is: made for its source's contents, never compared with its date."""

FOREIGN: Final = frozenset({"boto3", "botocore", "chalice/cli", "moto", "ministack", "granian", "tests", "infra"})
"""In Lambda's own runtime, or of use only on a developer's machine."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """Paths of the packaged template and of the functions' code."""

    template: Path
    bundle: Path

    def read_template(self) -> dict[str, Any]:
        """The packaged template."""
        parsed: dict[str, Any] = json.loads(self.template.read_text(encoding="utf-8"))
        return parsed


def functions(template: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Properties of each function, by logical id."""
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def problems(built: Artifact) -> list[str]:
    """Reasons not to deploy the artifact, one sentence each; empty where it is sound."""
    template = built.read_template()
    with zipfile.ZipFile(built.bundle) as bundle:
        return [
            *_untyped_resources(template),
            *_unresolved_handlers(template, bundle),
            *_foreign_entries(bundle),
            *_uncompiled_sources(bundle),
            *_stale_compiled_files(bundle),
            *_oversize(built.bundle),
        ]


def _untyped_resources(template: Mapping[str, Any]) -> Iterator[str]:
    """The template's part names a function or API that app.py does not declare: chalice then gives it no type."""
    for logical_id, resource in template["Resources"].items():
        if "Type" not in resource:
            yield f"infra/resources names {logical_id}, which app.py does not declare"


def _unresolved_handlers(template: Mapping[str, Any], bundle: zipfile.ZipFile) -> Iterator[str]:
    for logical_id, resource in template["Resources"].items():
        if resource.get("Type") != "AWS::Serverless::Function":
            continue
        handler = resource["Properties"]["Handler"]
        module, _, attribute = handler.rpartition(".")
        if attribute not in _top_level_names(bundle, module.replace(".", "/") + ".py"):
            yield f"{logical_id}: the bundle has no {handler}"


def _top_level_names(bundle: zipfile.ZipFile, path: str) -> set[str]:
    """Functions and variables that a module of the bundle defines; none where it has no such module."""
    if path not in bundle.namelist():
        return set()
    names: set[str] = set()
    for node in ast.parse(bundle.read(path)).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def _foreign_entries(bundle: zipfile.ZipFile) -> Iterator[str]:
    for name in sorted(FOREIGN):
        if any(entry.startswith(f"{name}/") for entry in bundle.namelist()):
            yield f"the bundle contains {name}/"


def compiled_files(bundle: zipfile.ZipFile) -> dict[str, str]:
    """The source of each compiled file that belongs into the bundle, by the compiled file's name."""
    return {_compiled_name(entry): entry for entry in bundle.namelist() if entry.endswith(".py")}


def _compiled_name(source: str) -> str:
    """Where Lambda's Python looks for it, whatever options and variables the Python that packages has."""
    path = PurePosixPath(source)
    return str(path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc")


def _uncompiled_sources(bundle: zipfile.ZipFile) -> Iterator[str]:
    """Sources that each new process would compile."""
    entries = set(bundle.namelist())
    for compiled, source in compiled_files(bundle).items():
        if compiled not in entries:
            yield f"{source} is not compiled"


def _stale_compiled_files(bundle: zipfile.ZipFile) -> Iterator[str]:
    """Compiled files that Python would not use, or that it would use in place of what their sources say now."""
    sources = compiled_files(bundle)
    for entry in bundle.namelist():
        if "__pycache__" not in entry and not entry.endswith(".pyc"):
            continue
        if entry not in sources:
            yield f"{entry} has no source, or is for another Python"
        elif bundle.read(entry)[:16] != _header(bundle.read(sources[entry])):
            yield f"{entry} was not made for this bundle"


def _header(source: bytes) -> bytes:
    """How a file compiled from the source begins (PEP 552)."""
    flags = UNCHECKED_HASH.to_bytes(4, "little")
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source)


def _oversize(bundle: Path) -> Iterator[str]:
    size = bundle.stat().st_size
    if size > MAX_ZIPPED_BYTES:
        yield f"the bundle is {size:,} bytes; at most {MAX_ZIPPED_BYTES:,} are allowed"
