"""The documents: the site builds without warnings, and files that they mention exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "pages" / "walks.md"]


def named_files(text: str) -> set[str]:
    """Paths in a document: in backticks with a folder and an ending, or the target of a relative link."""
    quoted = re.findall(r"`((?:[\w.-]+/)+[\w-]+\.[a-z]+)`", text)
    linked = [target for target in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in target]
    return {*quoted, *linked}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(document: Path) -> None:
    named = named_files(document.read_text())
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists() and not (ROOT / "docs" / name).exists()] == []


def test_files_in_pictures_exist() -> None:
    drawn = "".join(source.read_text().replace("\\n", " ") for source in (ROOT / "docs" / "pictures").glob("*.dot"))
    named = set(re.findall(r"(?:\w+/)+\w+\.(?:py|js)", drawn))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_a_join_is_a_walk_of_at_most_thirty_files() -> None:
    walk = (ROOT / "docs" / "pages" / "walks.md").read_text().partition("## A join\n")[2].partition("\n## ")[0]
    assert 20 <= len(named_files(walk)) <= 30


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_site_builds(tmp_path: Path) -> None:
    command = ["mkdocs", "build", "--quiet", "--strict", "-f", str(ROOT / "docs" / "mkdocs.yml"), "-d", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PARLEY_HTTP_PORT" in (tmp_path / "reference" / "settings" / "index.html").read_text()
    assert "/api/v1/meetings" in (tmp_path / "reference" / "rest" / "index.html").read_text()
    assert "user-joined" in (tmp_path / "reference" / "signaling" / "index.html").read_text()
    alerts = (tmp_path / "reference" / "alerts" / "index.html").read_text()
    rules = (ROOT / "deploy" / "prometheus" / "rules" / "alerts.yml").read_text()
    linked = re.findall(r"runbook: reference/alerts.md#(\w+)", rules)
    assert len(linked) == rules.count("- alert:") and all(f'id="{anchor}"' in alerts for anchor in linked)
    assert (tmp_path / "pictures" / "architecture.svg").is_file()
    assert (tmp_path / "pictures" / "walk_join.svg").is_file()
    assert 'href="./deploying/"' in (tmp_path / "index.html").read_text()  # the README links deploy/README.md
