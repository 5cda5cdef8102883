#!/usr/bin/env bash
# Writes the lock files anew from pyproject.toml: every platform, Python 3.11 to 3.13, hashes, no index address.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() {
  local out=$1; shift
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    --output-file "requirements/$out" "$@"
}
lock uv.txt requirements/uv.in
lock dev.txt pyproject.toml --extra runner --extra cluster --extra gcs --extra operator --extra tracing --group dev
# The images' locks take their versions from the developers' lock, so that what is tested is what runs.
lock build.txt requirements/build.in --constraint requirements/dev.txt
lock runner.txt pyproject.toml --extra runner --extra cluster --extra gcs --constraint requirements/dev.txt
lock operator.txt pyproject.toml --extra operator --extra tracing --constraint requirements/dev.txt
