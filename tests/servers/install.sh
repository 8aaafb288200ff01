#!/bin/sh
# Installs Debian's packages of servers for the tests, and starts none of them: each test process starts its own.
set -eu
command -v apt-get >/dev/null || { echo "please install: $*" >&2; exit 1; }
as_root=""
test "$(id -u)" = 0 || as_root="sudo"
# What Debian's packages ask before they start a service: 101 is no.
policy=/usr/sbin/policy-rc.d
if ! test -e "$policy"; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod +x "$policy"
    trap '$as_root rm -f "$policy"' EXIT
fi
$as_root apt-get update -q
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"
