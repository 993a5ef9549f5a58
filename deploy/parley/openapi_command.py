"""`parley openapi`: print the OpenAPI document of the REST API."""

import argparse
import json

from control.app import openapi_document
from foundation.settings import Settings


def main(_: Settings, __: argparse.Namespace) -> int:
    """Print the document; return the exit code."""
    print(json.dumps(openapi_document(), indent=2))
    return 0
