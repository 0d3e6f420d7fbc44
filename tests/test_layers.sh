#!/usr/bin/env bash
# The include rules of the design: which folder may know of what. And: the kernels are valid OpenCL C as they stand.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
failures=0

# forbid DESCRIPTION PATTERN FOLDER...: no #include of the folders may match the extended pattern.
forbid() {
    local description=$1 pattern=$2 found
    shift 2
    found=$(grep -rnE --include='*.[chd]*' "^[[:space:]]*#[[:space:]]*include[[:space:]]*$pattern" "$@" 2>/dev/null)
    if [ -n "$found" ]; then
        printf 'FAIL: %s\n%s\n' "$description" "$found"
        failures=$((failures + 1))
    fi
}

mapfile -t elsewhere < <(find src include tests examples kernels bench -name '*.[ch]' -not -path 'src/host/backend/opencl/driver/*' 2>/dev/null)
forbid "only the driver of backend/opencl may include OpenCL and CLBlast headers" '[<"](CL/|OpenCL/|clblast)' "${elsewhere[@]}"
forbid "OpenCL: code generation knows nothing of the driver and of tuning" '"[^"]*((driver|tuning|program)\.h|backend\.h)' \
    src/host/backend/opencl/codegen
forbid "OpenCL: the driver knows nothing of tuning" '"[^"]*tuning' src/host/backend/opencl/driver

# Public headers have angle brackets; what a folder says of itself has quotes and no folder.
forbid "cli includes only public headers and its own" '"[^"]*/' src/host/cli
forbid "nn includes only public headers and its own" '"[^"]*/' src/host/nn
forbid "core knows nothing of plans, backends and what stands on it" \
    '["<][^">]*(plan|run|backend|nn|data|io|cli)/' src/host/core
forbid "plan knows nothing of backends and what stands on it" '["<][^">]*(run|backend|nn|data|io|cli)/' src/host/plan
forbid "backends never see the graph" '["<][^">]*(core/graph\.h|graph\.h|run/|nn/|data/|io/|cli/)' src/host/backend
forbid "public headers include only public headers" '"' include
for header in clgrad nn optim data io tune; do
    [ -f "include/clgrad/$header.h" ] || { echo "FAIL: include/clgrad/$header.h is missing"; failures=$((failures + 1)); }
done

if command -v clang >/dev/null; then
    for kernel in kernels/*.cl; do
        [ -e "$kernel" ] || continue
        if ! clang -x cl -cl-std=CL1.2 -fsyntax-only -Xclang -finclude-default-header -I. -Ikernels "$kernel"; then
            echo "FAIL: clang does not accept $kernel"
            failures=$((failures + 1))
        fi
    done
else
    echo "clang not found: kernels not checked"
fi
[ "$failures" -eq 0 ] && echo "ok: layers"
exit "$((failures > 0))"
