#!/usr/bin/env bash
# What somebody has who just installed Debian: a root with git and make alone, and an
# ordinary user with sudo. In it README's commands are run in order, and the time that
# each took is printed. The network is used from there as from here: the package
# mirror, the module proxy.
#
#	scripts/fresh.sh [--if-possible] [SUITE]     # default: bookworm
#
# FRESH="make demo" runs these commands instead, one a line. Needs root, to make a root.
# With --if-possible it is no failure where the root cannot be made; why is said.
set -euo pipefail
cd "$(dirname "$0")/.."
lacks=1
[ "${1:-}" != --if-possible ] || { lacks=0; shift; }
suite=${1:-bookworm}
# not_run ends where there is no root to run in.
not_run() {
	echo "fresh: not run: $1" >&2
	exit $lacks
}
[ "$(id -u)" = 0 ] || not_run "only root can make a root: sudo make fresh"
command -v mmdebstrap >/dev/null || not_run "needs: sudo apt-get install -y --no-install-recommends mmdebstrap"

# mirror is where this machine's own packages come from.
mirror() {
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | sort -u | head -1
}

# Its name is in every mountinfo inside, in which a trial's server must not find mcpen's.
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/fresh.XXXXXX")
trap 'rm -rf --one-file-system "$dir"' EXIT
root=$dir/root
began=$SECONDS
mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' --include=git,make,ca-certificates,sudo \
	"$suite" "$root" "$(mirror)" >"$dir/log" 2>&1 || not_run "cannot make a root of $suite: $(tail -5 "$dir/log")"
echo "fresh: $suite, made in $((SECONDS - began)) s"

# Certificates and names are this machine's, and so is who serves Go's modules.
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
chroot "$root" useradd -m -s /bin/bash someone
echo 'someone ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/someone"
git clone -q --no-hardlinks . "$root/home/someone/mcpen"
chroot "$root" chown -R someone: /home/someone/mcpen
proxy=$(go env GOPROXY 2>/dev/null || true)

cat >"$root/home/someone/commands" <<COMMANDS
${FRESH:-make demo
PREFIX=\$HOME/.local make install
\$HOME/.local/bin/mcpen doctor
\$HOME/.local/bin/mcpen run -- /bin/true
make test}
COMMANDS
cat >"$root/home/someone/all.sh" <<'ALL'
cd ~/mcpen
failed=0
while read -r line; do
	[ -n "$line" ] || continue
	began=$SECONDS
	code=0
	bash -c "$line" </dev/null >~/out 2>&1 || code=$?
	echo "fresh: $line: exit $code in $((SECONDS - began)) s"
	if [ $code != 0 ]; then
		failed=1
		grep -aE '^ *--- FAIL|^FAIL|mcpen: error|refused|panic:' ~/out | head -40 | sed 's/^/	/'
		tail -15 ~/out | sed 's/^/	/'
	fi
done <~/commands
exit $failed
ALL
# The root of a mount namespace, and not of a chroot, in which nobody gets a user
# namespace (unshare(2)).
env -i TERM="${TERM:-dumb}" GOPROXY="$proxy" unshare --mount --pid --fork --kill-child -- sh -eu -c '
	mount --make-rprivate /
	mount --rbind "$1" "$1"
	cd "$1"
	mount -t proc proc proc
	mount --rbind /dev dev
	mount --rbind /sys sys
	mount -t tmpfs -o mode=1777 tmpfs tmp
	mkdir -p was
	pivot_root . was
	cd /
	umount -l was
	exec su someone -s /bin/bash -c "export HOME=/home/someone PATH=/usr/local/bin:/usr/bin:/bin GOPROXY=$GOPROXY; cd; exec bash all.sh"
' sh "$root"
