"""The SQL of all questions is Trino's, by grammars that nobody here wrote."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from tests.support.analytics_questions import every_shape, texts

SCRIPT = """
const { TrinoSQL } = require('dt-sql-parser');
const parser = new TrinoSQL();
const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(texts.map((text) => parser.validate(text).map((fault) => fault.message))));
"""
PACKAGES = ["dt-sql-parser@4.5.1", "esbuild@0.28.2"]


def test_every_question_parses_as_trino() -> None:
    for text in texts(every_shape()):
        parsed = sqlglot.parse_one(text, read="trino", error_level=sqlglot.ErrorLevel.RAISE)
        assert isinstance(parsed, exp.Select | exp.Union), text
        assert not list(parsed.find_all(exp.Command)), text


def test_what_is_no_sql_is_refused() -> None:
    with pytest.raises(sqlglot.ParseError):
        sqlglot.parse_one("SELECT a FROM (SELECT", read="trino", error_level=sqlglot.ErrorLevel.RAISE)


@pytest.mark.prove
@pytest.mark.skipif(shutil.which("npm") is None, reason="this machine has no Node")
def test_every_question_parses_under_the_grammar_of_trino_itself(tmp_path: Path) -> None:
    (tmp_path / "parse.js").write_text(SCRIPT, encoding="utf-8")
    subprocess.run(["npm", "install", "--silent", *PACKAGES], cwd=tmp_path, check=True, timeout=300)
    bundle = ["npx", "esbuild", "parse.js", "--bundle", "--platform=node", "--outfile=bundle.js", "--log-level=error"]
    subprocess.run(bundle, cwd=tmp_path, check=True, timeout=120)
    asked = [*texts(every_shape()), "SELECT * EXCLUDE (a) FROM t", "SELECT a FROM t GROUP BY ALL"]
    command = ["node", "bundle.js"]
    done = subprocess.run(command, cwd=tmp_path, input=json.dumps(asked), capture_output=True, text=True, check=True)
    faults = json.loads(done.stdout)
    assert faults[:-2] == [[]] * (len(asked) - 2)
    assert faults[-2]
