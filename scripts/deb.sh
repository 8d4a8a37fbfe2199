#!/usr/bin/env bash
# Makes a Debian package of bin/mcpen (make deb), in bin: the program, completions, the
# licence, and the AppArmor profile without which Ubuntu 24.04 gives it no user namespace.
#
#	scripts/deb.sh RELEASE     # a tag such as v1.2.0, or a commit
set -euo pipefail
cd "$(dirname "$0")/.."
command -v dpkg-shlibdeps >/dev/null || { echo "deb: needs: sudo apt-get install -y --no-install-recommends dpkg-dev" >&2; exit 1; }

version=${1#v}
case $version in [0-9]*.[0-9]*) ;; *) version=0~$(git log -1 --format=%cd --date=format:%Y%m%d%H%M)+$version ;; esac # a version begins with a digit
version=${version//-/+}
arch=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
install -D -m 0755 bin/mcpen "$root/usr/bin/mcpen"
install -D -m 0644 scripts/deb/apparmor "$root/usr/share/mcpen/apparmor"
install -D -m 0644 LICENSE "$root/usr/share/doc/mcpen/copyright"
install -D -m 0644 CHANGELOG.md "$root/usr/share/doc/mcpen/changelog"
gzip -9n "$root/usr/share/doc/mcpen/changelog"
for pair in bash:bash-completion/completions/mcpen zsh:zsh/vendor-completions/_mcpen fish:fish/vendor_completions.d/mcpen.fish; do
	mkdir -p "$root/usr/share/$(dirname "${pair#*:}")"
	bin/mcpen completion "${pair%%:*}" >"$root/usr/share/${pair#*:}"
done

# dpkg-shlibdeps reads the version of the C library from the program's symbols.
mkdir "$work/debian" && printf 'Source: mcpen\n\nPackage: mcpen\nArchitecture: any\n' >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O root/usr/bin/mcpen 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || { echo "deb: cannot find out which C library bin/mcpen needs" >&2; exit 1; }

install -D -m 0755 -t "$root/DEBIAN" scripts/deb/postinst scripts/deb/prerm
cat >"$root/DEBIAN/control" <<C
Package: mcpen
Version: $version
Architecture: $arch
Maintainer: the mcpen authors
Section: net
Priority: optional
Depends: $depends
Suggests: npm, python3-pip
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Description: pen for MCP servers
 mcpen starts a local MCP server that somebody else wrote inside a sandbox built
 from a short profile, and carries its messages to and from the client. The
 server gets what the profile declares and nothing else: no other file, no
 other host, no other tool.
C
out=bin/mcpen_${version}_$arch.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$out" >/dev/null
echo "$out"
