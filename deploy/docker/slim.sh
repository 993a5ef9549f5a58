#!/bin/sh
# slim.sh VENV: removes files that Parley does not need at run time: libraries' tests, tools for building models, C sources, stubs,
# symbols of extension modules, and the padding in bundled libraries.
set -eu
site=$(echo "$1"/lib/python3*/site-packages)
find "$site" -depth -type d \( -name tests -o -name SelfTest \) -exec rm -rf {} +
find "$site" -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.cc' -o -name '*.h' -o -name '*.a' \) -delete
rm -rf "$site"/onnx/backend "$site"/onnx/fuzz "$site"/onnx/reference "$site"/onnxruntime/transformers "$site"/onnxruntime/tools \
    "$site"/onnxruntime/quantization "$site"/onnxruntime/datasets "$site"/numpy/f2py
# Pillow reads PNG, JPEG, WebP and GIF here, and its support for AVIF is a third of its libraries.
rm -f "$site"/PIL/_avif.*.so "$site"/pillow.libs/libavif-*.so*
# NumPy's modules for its own tests.
rm -f "$site"/numpy/_core/_simd.*.so "$site"/numpy/_core/_*_tests.*.so
# minio uses two ciphers of PyCryptodome, webauthn one of 120 modules of ASN.1.
rm -rf "$site"/Crypto/IO "$site"/Crypto/Math "$site"/Crypto/PublicKey "$site"/Crypto/Signature
find "$site"/pyasn1_modules -name 'rfc*' ! -name 'rfc5280.*' -delete
# The image of Python has the time zones of Debian, which come first.
if [ -d /usr/share/zoneinfo/Europe ]; then rm -rf "$site"/tzdata/zoneinfo; fi
# For C programs; Python's module contains it.
rm -f "$site"/onnxruntime/capi/libonnxruntime.so*
python3 "$(dirname "$0")/unpad.py" $(find "$site" -type f -name '*.so*')
find "$site" -type f -name '*.so*' -exec strip --strip-unneeded {} +
