"""Builds the compiled engine where Cython and a C compiler are at hand; without them the Python engine serves."""

from pathlib import Path

from setuptools import Extension, setup

NATIVE = sorted(str(path) for path in Path("sfu/engine/native").iterdir())

setup(
    ext_modules=[
        Extension(
            "sfu.engine.compiled",
            ["sfu/engine/compiled.pyx"],
            include_dirs=["sfu/engine"],
            libraries=["dl"],
            # gcc 12 at -O3 was seen to miscompile SRTP rollover.
            extra_compile_args=["-O2", "-fno-ipa-modref", "-Wno-unused-function"],
            depends=NATIVE,
            optional=True,
        )
    ]
)
