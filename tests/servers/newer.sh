#!/bin/sh
# Unpacks servers of newer releases than the machine's, each group as a small Debian system of its own that nothing else
# on the machine sees; tests run them with that system as root directory (`root.rs`).
#
#   newer.sh FOLDER    makes FOLDER/newer-a: MySQL 9.7, PostgreSQL 18, Valkey 9
#                            FOLDER/newer-b: MariaDB 11.8, Redis 8 (MariaDB and MySQL cannot be installed together)
#
# Needs root, Debian or Ubuntu, and the mirror that the machine's apt uses. Half a minute, 600 MB.
set -eu
to=${1:?a folder}
test "$(id -u)" = 0 || { echo "newer servers are unpacked by root only" >&2; exit 1; }
command -v apt-get >/dev/null || { echo "newer servers are unpacked from Debian's packages only" >&2; exit 1; }
keys=/usr/share/keyrings/debian-archive-keyring.gpg
if ! command -v mmdebstrap >/dev/null || ! test -e "$keys"; then
    sh "$(dirname "$0")/install.sh" mmdebstrap debian-archive-keyring
fi
mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
    /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | grep -v security | head -n 1)
test -n "$mirror" || { echo "no Debian mirror in /etc/apt" >&2; exit 1; }

unpack() {
    root=$to/$1
    test -e "$root/.done" && return
    rm -rf "$root" && mkdir -p "$to"
    mmdebstrap --quiet --variant=extract --aptopt='Acquire::Check-Valid-Until "false"' --include="$2" \
        sid "$root" "deb [signed-by=$keys] $mirror sid main"
    # What the packages' scripts would have made, which do not run.
    for link in bin sbin lib lib64; do
        test -e "$root/$link" || ln -s "usr/$link" "$root/$link"
    done
    ln -sf dash "$root/bin/sh"
    mkdir -p "$root/tmp" "$root/proc" "$root/dev" "$root/run" "$root/srv"
    chmod 1777 "$root/tmp"
    test -e "$root/dev/null" || mknod -m 666 "$root/dev/null" c 1 3
    test -e "$root/dev/urandom" || mknod -m 666 "$root/dev/urandom" c 1 9
    printf '127.0.0.1 localhost %s\n' "$(hostname)" > "$root/etc/hosts"
    printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' > "$root/etc/passwd"
    touch "$root/.done"
}
unpack newer-a mysql-server-core,postgresql-18,valkey-server,dash,coreutils,sed,grep
unpack newer-b mariadb-server-core,mariadb-client-core,redis-server,dash,coreutils,sed,grep
