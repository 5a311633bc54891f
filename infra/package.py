"""Builds the deployable artifact: `python -m infra.package --stage dev --out build`.

It leaves `sam.json` and `deployment.zip` in the folder named by --out. Neither credentials nor a network beyond the
package index are needed. The sources are copied first, so that no compiled file of a running test gets into the bundle
(such a file would also change its hash, and with it every deployment).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from infra import artifact, template

PROJECT: Final = Path(__file__).resolve().parent.parent
CHALICE_CACHE: Final = Path(".chalice") / "deployments"


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
