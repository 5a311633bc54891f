"""Builds the deployable artifact: `python -m infra.package --stage dev --out build`.

It leaves `sam.json` and `deployment.zip` in the folder named by --out. Neither credentials nor a network beyond the
package index are needed. The sources are copied first, so that nothing that a running test compiles gets into the
bundle. Then all of it is compiled: Lambda's folder cannot be written to, so each new process would else compile
whatever it imports. The same input makes the same bytes, and so the same hash, of which deployments are named.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from infra import artifact, template

PROJECT: Final = Path(__file__).resolve().parent.parent
LOCALES: Final = frozenset({"en", "root"})
CHALICE_CACHE: Final = Path(".chalice") / "deployments"
ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say; the real dates would change the bundle's hash."""


class PackagingError(Exception):
    """The artifact could not be built, or is not fit to be deployed; the message says why."""


def package(stage: str, out: Path, project: Path = PROJECT) -> artifact.Artifact:
    """Build and check the artifact of `stage` in `out`. Raises PackagingError."""
    _require_deployed_python(project)
    merged = _staged_template(stage)
    source = out / "source"
    _copy_sources(project, source)
    (source / "resources.json").write_text(json.dumps(merged), encoding="utf-8")
    _run_chalice(stage, source, out)
    built = artifact.Artifact(template=out / "sam.json", bundle=out / "deployment.zip")
    _add_compiled(built.bundle)
    if problems := artifact.problems(built):
        raise PackagingError("\n".join(["the artifact is not fit to be deployed:", *problems]))
    return built


def _staged_template(stage: str) -> template.Template:
    try:
        return template.with_stage(template.load(), stage)
    except ValueError as error:
        raise PackagingError(str(error)) from error


def _require_deployed_python(project: Path) -> None:
    """Chalice takes the functions' runtime, and the compiled libraries' kind, from the interpreter that runs it."""
    wanted = (project / ".python-version").read_text(encoding="utf-8").strip()
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if running != wanted:
        raise PackagingError(f"the functions run on Python {wanted}: package with it, not with {running}")


def _copy_sources(project: Path, source: Path) -> None:
    """What chalice reads, fresh; only its cache of downloaded libraries stays from the last time."""
    for stale in (source / "chalicelib", source / "infra"):
        shutil.rmtree(stale, ignore_errors=True)
    (source / ".chalice").mkdir(parents=True, exist_ok=True)
    for name in ("app.py", "requirements.txt", ".chalice/config.json"):
        shutil.copyfile(project / name, source / name)
    shutil.copytree(project / "chalicelib", source / "chalicelib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(project / "infra" / "policies", source / "infra" / "policies")


def _run_chalice(stage: str, source: Path, out: Path) -> None:
    command = [sys.executable, "-c", "from chalice.cli import main; main()", "package", "--stage", stage]
    result = subprocess.run(
        [*command, "--merge-template", "resources.json", str(out.resolve())],
        cwd=source,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "AWS_DEFAULT_REGION": _region()},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise PackagingError(f"chalice could not package the app:\n{result.stdout}{result.stderr}")


def _add_compiled(bundle: Path) -> None:
    """Compile all sources of the bundle and write it anew, in an order and with dates that are always the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(folder)
        _drop_unused(folder)
        _compile(folder)
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        with zipfile.ZipFile(bundle, "w") as archive:
            for entry, path in sorted(files.items()):
                info = zipfile.ZipInfo(entry, ZIP_DATE)
                info.external_attr = 0o644 << 16  # Lambda's user is not the owner
                archive.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED)


def _drop_unused(folder: Path) -> None:
    """Leave out what a third of the bundle would be: the words of all languages, of a library that Liquid imports for
    filters that templates are not offered."""
    for data in (folder / "babel" / "locale-data").glob("*.dat"):
        if data.stem not in LOCALES:
            data.unlink()


def _compile(folder: Path) -> None:
    """Compile all sources of the folder; `-s . .` from inside it keeps its own path out of what is written.

    Python never compares the result with the sources, whose dates depend on who unpacks them. A process of its own does
    it, apart from PYTHON* variables and from the folder's modules, and always in the same order: how a constant is
    written depends on what its process did before.
    """
    options = ["-q", "-f", "--invalidation-mode", "unchecked-hash", "-s", ".", "."]
    command = [sys.executable, "-I", "-m", "compileall", *options]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise PackagingError(f"not everything in the bundle compiles:\n{result.stdout}{result.stderr}")


def _region() -> str:
    """Chalice stops without a region, though nothing of it goes into the artifact."""
    return os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION") or "us-east-1"


def main(argv: list[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.package", description="Build the deployable artifact.")
    parser.add_argument("--stage", default="dev", help="the name of the deployment (dev)")
    parser.add_argument("--out", type=Path, default=Path("build"), help="the folder to write to (build)")
    arguments = parser.parse_args(argv)
    try:
        built = package(arguments.stage, arguments.out)
    except PackagingError as error:
        print(f"package: {error}", file=sys.stderr)
        return 1
    print(f"{built.template} and {built.bundle} ({built.bundle.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
