"""`parley models`: fetch, verify, list and build the models that captions and analysis need."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from foundation.settings import Settings, SettingsError, resolve
from inference.models import catalogue, store
from inference.models.catalogue import SPEECH_MODEL, SYNTHETIC_VOICE_MODEL, Catalogue, Model
from inference.models.fetch import FetchError, fetch
from inference.triton.build import Instance, add_detector, build_repository

Handler = Callable[[Catalogue, Path, argparse.Namespace], int]


def main(_: Settings, chosen: argparse.Namespace) -> int:
    """Run a verb; return the exit code. It parses its own flags and reads the settings that it needs."""
    return run(chosen.rest)


def run(argv: list[str]) -> int:
    """Run `parley models` with `argv` (without the program's name) and return the exit status."""
    parser = argparse.ArgumentParser(prog="parley models", description="AI models for captions and analysis.")
    register(parser)
    arguments = parser.parse_args(argv)
    try:
        table = catalogue.load(arguments.table)
        handler: Handler = arguments.handler
        return handler(table, _models_dir(arguments), arguments)
    except (FetchError, SettingsError, KeyError, ValueError) as error:
        print(f"parley models: {error.args[0]}", file=sys.stderr)
    except OSError as error:
        print(f"parley models: {error}", file=sys.stderr)
    return 1


def register(parser: argparse.ArgumentParser) -> None:
    """Add the verbs to the parser of `parley models`. Each sets `handler`."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--models-dir", type=Path, metavar="DIR", help="where the models are (default: models_dir)")
    common.add_argument(
        "--config", type=Path, metavar="FILE", default=os.environ.get("PARLEY_CONFIG"), help="TOML file"
    )
    common.add_argument("--table", type=Path, metavar="FILE", help="another MODELS.toml")
    common.add_argument("names", nargs="*", metavar="NAME", help="models (default: all except optional ones)")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    getter = verbs.add_parser("fetch", parents=[common], help="download, check and build missing models")
    getter.add_argument("--offline", type=Path, metavar="DIR", help="take the archives from DIR and download nothing")
    getter.add_argument(
        "--keep-archives", action="store_true", help="leave downloaded archives in the models directory"
    )
    getter.set_defaults(handler=_fetch)
    lister = verbs.add_parser("list", parents=[common], help="show models with licence, origin and state")
    lister.set_defaults(handler=_list)
    checker = verbs.add_parser("verify", parents=[common], help="check every file of the models against its hash")
    checker.set_defaults(handler=_verify)
    builder = verbs.add_parser("build", parents=[common], help="build a Triton model repository for speech recognition")
    builder.add_argument("--triton", type=Path, metavar="DIR", required=True, help="where to write the repository")
    builder.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="where Triton runs the models")
    builder.add_argument("--instances", type=int, default=1, help="model instances per device")
    builder.add_argument("--threads", type=int, default=1, help="threads of one instance on the CPU")
    builder.set_defaults(handler=_build)


def _models_dir(arguments: argparse.Namespace) -> Path:
    if arguments.models_dir is not None:
        return Path(arguments.models_dir).absolute()
    return Path(resolve({}, os.environ, arguments.config)["models_dir"])


def _chosen(table: Catalogue, arguments: argparse.Namespace) -> list[Model]:
    """Return the models named; without names, all except those of extras."""
    return [table.named(name) for name in arguments.names] or [model for model in table.model if not model.extra]


def _fetch(table: Catalogue, models_dir: Path, arguments: argparse.Namespace) -> int:
    def say(line: str) -> None:
        print(line, flush=True)

    models_dir.mkdir(parents=True, exist_ok=True)
    for model in _chosen(table, arguments):
        fetch(model, models_dir, say, offline=arguments.offline, keep=arguments.keep_archives)
    return 0


def _list(table: Catalogue, models_dir: Path, arguments: argparse.Namespace) -> int:
    for model in _chosen(table, arguments) if arguments.names else table.model:
        state = "present" if store.find(models_dir, model) else "not fetched"
        size = sum(archive.bytes for archive in model.archive) / 1e6
        source = f"{size:.0f} MB to download" if model.archive else "part of this package"
        print(f"{model.name} {model.version}: {model.task}; {state}; {source}")
        if model.extra:
            print(f"    optional ({model.extra}): fetch it by name, `parley models fetch {model.name}`")
        print(f"    licence {model.licence}; origin {model.origin}")
        print(f"    trained on {model.training_data}")
    return 0


def _verify(table: Catalogue, models_dir: Path, arguments: argparse.Namespace) -> int:
    status = 0
    for model in _chosen(table, arguments):
        found = store.problems(models_dir, model)
        print(f"{model.name} {model.version}: {'; '.join(found) or 'verified'}")
        status |= bool(found)
    return status


def _build(table: Catalogue, models_dir: Path, arguments: argparse.Namespace) -> int:
    instance = Instance(arguments.device, arguments.instances, arguments.threads)
    identity = build_repository(models_dir, table.named(SPEECH_MODEL), arguments.triton, instance)
    detector = table.named(SYNTHETIC_VOICE_MODEL)
    if store.find(models_dir, detector):
        print(f"{add_detector(models_dir, detector, arguments.triton, instance)}: added")
    _let_others_read(models_dir, arguments.triton)
    print(f"{identity}: repository in {arguments.triton}; start `tritonserver --model-repository {arguments.triton}`")
    return 0


def _let_others_read(*folders: Path) -> None:
    """Let others list these folders, since Triton has an account of its own. Their owners may be others, who decide."""
    for folder in folders:
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o055)
