#!/usr/bin/env bash
# Fetches what vendored.json names from the npm registry, checks the archive against the integrity recorded there, and
# leaves the named files and SHA256SUMS here. Changes nothing when all is as recorded. Needs npm, openssl and python3.
set -euo pipefail
cd "$(dirname "$0")"

say() { python3 -c 'import json, sys; e = json.load(open("vendored.json"))[sys.argv[1]][sys.argv[2]]; print(e if isinstance(e, str) else "\n".join(e))' "$@"; }

for name in $(python3 -c 'import json; print(*json.load(open("vendored.json")))'); do
    version="$(say "$name" version)"
    scratch="$(mktemp -d)"
    trap 'rm -rf "$scratch"' EXIT
    archive="$(npm pack --silent --pack-destination "$scratch" "$name@$version")"
    found="sha512-$(openssl dgst -sha512 -binary "$scratch/$archive" | base64 -w0)"
    if [[ "$found" != "$(say "$name" integrity)" ]]; then
        echo "$name $version: the archive is not the one that was recorded ($found)" >&2
        exit 1
    fi
    tar -xzf "$scratch/$archive" -C "$scratch"
    mkdir -p "$name-$version"
    for file in $(say "$name" files); do cp "$scratch/package/$file" "$name-$version/"; done
done
if [[ -f SHA256SUMS ]]; then sha256sum --check --quiet SHA256SUMS; else sha256sum ./*-*/* | sed 's#\./##' > SHA256SUMS; fi
echo "vendored files are as recorded"
