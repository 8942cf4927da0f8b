#!/bin/sh
# Prints the section of a version in CHANGELOG.md: release-notes.sh 0.1.0. Fails if there is none, or if Cargo.toml
# has another version.
set -eu
cd "$(dirname "$0")/.."
version=$1

if ! grep -qx "version = \"$version\"" Cargo.toml; then
  echo "Cargo.toml does not have the version $version" >&2
  exit 1
fi
notes=$(awk -v head="## [$version]" '
  index($0, "## [") == 1 { inside = (index($0, head) == 1); next }
  inside { print }
' CHANGELOG.md)
if [ -z "$notes" ]; then
  echo "CHANGELOG.md has no section ## [$version]" >&2
  exit 1
fi
printf '%s\n' "$notes"
