#!/bin/sh
# Generates plugins/engine/plugin/enginepb from plugins/engine/engine.proto. With --check it changes nothing, and fails when the committed code
# differs from what it would generate. Needs protoc (Debian: protobuf-compiler); the Go generators are the module's tools.
set -eu
cd "$(dirname "$0")"
command -v protoc >/dev/null || { echo "generate.sh: protoc is missing (Debian: apt-get install protobuf-compiler)" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/out"
for tool in protoc-gen-go protoc-gen-go-grpc; do
	ln -s "$(go tool -n $tool)" "$work/$tool"
done
PATH="$work:$PATH" protoc --proto_path=.. \
	--go_out="$work/out" --go_opt=paths=source_relative \
	--go-grpc_out="$work/out" --go-grpc_opt=paths=source_relative \
	engine.proto
# The version of protoc stands in the generated comments and says nothing about the code.
sed -i -e '/^\/\/ .*protoc  *v/d' -e '/^\/\/ - protoc /d' "$work"/out/*.go
if [ "${1:-}" = "--check" ]; then
	diff -ru enginepb "$work/out" || { echo "generate.sh: plugins/engine/plugin/enginepb is stale: run plugins/engine/plugin/generate.sh" >&2; exit 1; }
	exit 0
fi
mkdir -p enginepb
cp "$work"/out/*.go enginepb/
