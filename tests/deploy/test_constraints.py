"""deploy/constraints.txt names a version for each dependency, and one that pyproject.toml admits."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
OURS = "parley-client"
"""Another distribution of this repository, which has the same version."""


def test_every_dependency_has_a_version_that_is_admitted() -> None:
    lines = (ROOT / "deploy" / "constraints.txt").read_text().splitlines()
    versions = dict(line.split("==") for line in lines if not line.startswith("#"))
    chosen = {canonicalize_name(name): version for name, version in versions.items()}
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = document["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values(), document["dependency-groups"]["dev"]]
    wanted = [Requirement(one) for group in groups for one in group if not one.startswith(OURS)]
    refused = [str(one) for one in wanted if chosen.get(canonicalize_name(one.name), "") not in one.specifier]
    assert refused == [], "run `make versions`, then the tests"
