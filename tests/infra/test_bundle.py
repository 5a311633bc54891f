"""The functions' code runs from a folder that cannot be written to, and starts without compiling anything."""

import importlib.util
import marshal
import platform
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

from infra.artifact import Artifact, compiled_files
from infra.package import PROJECT, package

pytestmark = pytest.mark.xdist_group("artifact")

LAMBDA_PROVIDES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
HEADER_BYTES = 16
UNCHECKED_HASH = (1).to_bytes(4, "little")

on_lambdas_platform = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the bundle's libraries are for Linux on x86_64"
)


@pytest.fixture(scope="module")
def unzipped(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle's files, in a folder of their own."""
    folder: Path = tmp_path_factory.mktemp("bundle")
    with zipfile.ZipFile(artifact.bundle) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def provided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what Lambda has by itself: the AWS client and what that needs."""
    folder: Path = tmp_path_factory.mktemp("provided")
    for name in LAMBDA_PROVIDES:
        spec = importlib.util.find_spec(name)
        assert spec
        assert spec.origin
        source = Path(spec.origin) if name == "six" else Path(spec.origin).parent
        (folder / source.name).symlink_to(source)
    return folder


def in_a_bare_python(unzipped: Path, provided: Path, program: str) -> list[str]:
    """What the program prints where it finds the bundle, the AWS client and Python's own modules, and nothing else."""
    preamble = f"import sys; bundle = {str(unzipped)!r}; sys.path[:0] = [bundle, {str(provided)!r}]\n"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", preamble + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        cwd=provided,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@on_lambdas_platform
def test_the_bundle_needs_nothing_that_lambda_does_not_have(unzipped: Path, provided: Path) -> None:
    program = """
        import importlib, pathlib, warnings
        warnings.simplefilter("error")
        import app
        for path in pathlib.Path(bundle).glob("chalicelib/**/*.py"):
            importlib.import_module(".".join(path.relative_to(bundle).with_suffix("").parts))
        print(app.app.app_name)
    """
    assert in_a_bare_python(unzipped, provided, program) == ["growthos"]


@on_lambdas_platform
def test_the_templates_of_pages_are_in_the_bundle(unzipped: Path, provided: Path) -> None:
    program = """
        from chalicelib.edge import pages
        brand = pages.Brand("Acme", "#0b57d0")
        pages.message("Hello", "World")
        pages.survey(pages.SurveyForm(question="Why?", scale=[1, 2], chosen=1, sends_itself=True), brand)
        pages.survey(pages.SurveyForm(questions=[pages.Question("q1", "rating", "Why?")]), brand)
        pages.thanks(pages.Thanks(1, share_url="https://acme.test/r/A"), brand)
        print(pages.place(pages.Place("Early", 1, 2, 3, "A", "https://acme.test/r/A"), brand).status)
    """
    assert in_a_bare_python(unzipped, provided, program) == ["200"]


COMPILED_WHILE_IMPORTING = """
    import importlib, pathlib
    compiled = []
    def watch(event, arguments):
        if event == "compile" and str(arguments[1]).startswith(bundle):
            compiled.append(arguments[1])
    sys.addaudithook(watch)
    import app
    for path in pathlib.Path(bundle).glob("chalicelib/**/*.py"):
        importlib.import_module(".".join(path.relative_to(bundle).with_suffix("").parts))
    print(sys.flags.dont_write_bytecode, *compiled, sep="\\n")
"""


@on_lambdas_platform
def test_the_app_starts_without_compiling_anything(unzipped: Path, provided: Path) -> None:
    assert in_a_bare_python(unzipped, provided, COMPILED_WHILE_IMPORTING) == ["1"]


@on_lambdas_platform
def test_a_source_without_its_compiled_file_would_be_seen(artifact: Artifact, provided: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(artifact.bundle) as archive:
        archive.extractall(tmp_path, [name for name in archive.namelist() if not name.startswith("__pycache__/app.")])
    expected = ["1", str(tmp_path / "app.py")]
    assert in_a_bare_python(tmp_path, provided, COMPILED_WHILE_IMPORTING) == expected


def test_each_source_has_its_compiled_file(unzipped: Path) -> None:
    sources = {path.relative_to(unzipped) for path in unzipped.rglob("*.py")}
    assert Path("app.py") in sources
    assert Path("pydantic/main.py") in sources
    expected = {
        source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc" for source in sources
    }
    assert {path.relative_to(unzipped) for path in unzipped.rglob("*.pyc")} == expected


def test_no_compiled_file_is_compared_with_its_source(unzipped: Path) -> None:
    """Dates of unpacked sources may be anything."""
    flags = {path.read_bytes()[4:8] for path in unzipped.rglob("*.pyc")}
    assert flags == {UNCHECKED_HASH}


def test_compiled_files_name_their_sources_as_the_bundle_does(artifact: Artifact) -> None:
    """So tracebacks are right wherever it is unpacked, and no path of the packaging machine gets out."""
    with zipfile.ZipFile(artifact.bundle) as bundle:
        for compiled, source in compiled_files(bundle).items():
            content = bundle.read(compiled)
            assert named_sources(content) == {source}
            assert not {path for path in (PROJECT, artifact.bundle.parent) if str(path).encode() in content}


def named_sources(content: bytes) -> set[str]:
    """The source that each piece of code in a compiled file says it is from."""
    module: CodeType = marshal.loads(content[HEADER_BYTES:])  # noqa: S302 - written by this very Python
    return {code.co_filename for code in codes(module)}


def codes(code: CodeType) -> Iterator[CodeType]:
    """The code and all that it holds, however deep."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def test_packaging_again_elsewhere_makes_the_same_bytes(artifact: Artifact, tmp_path: Path) -> None:
    again = package("dev", tmp_path)
    assert again.bundle.read_bytes() == artifact.bundle.read_bytes()
    assert again.template.read_bytes() == artifact.template.read_bytes()


def test_the_bundles_files_have_a_fixed_date_and_order(artifact: Artifact) -> None:
    with zipfile.ZipFile(artifact.bundle) as bundle:
        assert {entry.date_time for entry in bundle.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert bundle.namelist() == sorted(bundle.namelist())
