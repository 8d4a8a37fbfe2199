#!/usr/bin/env bash
# Real machines in software: builds Debian images, boots each under qemu without
# KVM, and runs mcpen in a login session of an ordinary user there. Prints one
# line a check and, at the end, a table: machine, suite, result.
#
#	scripts/vm.sh [MACHINE…]     # default: every machine of scripts/vm/machines
#
# Images are cached in $MCPEN_VM (default: ~/.cache/mcpen-vm). The network is used
# only to make an image, from the package mirror that this machine is set up with.
# Needs root for mmdebstrap, or a machine that lets users have namespaces.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${MCPEN_VM:-${XDG_CACHE_HOME:-$HOME/.cache}/mcpen-vm}
limit=${MCPEN_VM_SECONDS:-1800}
mkdir -p "$cache"

need() {
	missing=
	for pair in qemu-system-x86_64:qemu-system-x86 mmdebstrap:mmdebstrap mke2fs:e2fsprogs; do
		command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
	done
	[ -z "$missing" ] || { echo "vm: needs: sudo apt-get install -y --no-install-recommends$missing" >&2; exit 1; }
}

# mirror is where this machine's own packages come from.
mirror() {
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | sort -u | head -1
}

# image makes the disk, the kernel and the initramfs of a suite and architecture.
image() {
	suite=$1 arch=$2 dir=$cache/$1-$2
	stamp=$(cat scripts/vm/packages scripts/vm/customize.sh | sha256sum | cut -c1-16)
	[ "$(cat "$dir/stamp" 2>/dev/null)" != "$stamp" ] || return 0
	echo "vm: making an image of $suite $arch" >&2
	rm -rf "$dir" && mkdir -p "$dir"
	kernel=linux-image-$arch
	mmdebstrap --quiet --variant=minbase --arch="$arch" --include="$kernel,$(paste -sd, scripts/vm/packages)" \
		--customize-hook='scripts/vm/customize.sh "$1"' "$suite" "$dir/root" "$(mirror)" >"$dir/log" 2>&1 ||
		{ tail -5 "$dir/log" >&2; echo "vm: cannot make an image of $suite $arch: see $dir/log" >&2; return 1; }
	cp "$dir"/root/boot/vmlinuz-* "$dir/vmlinuz"
	cp "$dir"/root/boot/initrd.img-* "$dir/initrd"
	rm -rf "$dir"/root/boot/* "$dir"/root/var/cache/apt "$dir"/root/var/lib/apt/lists
	mke2fs -q -t ext4 -m 0 -d "$dir/root" "$dir/disk" "$(($(du -sm "$dir/root" | cut -f1) + 600))M"
	rm -rf "$dir/root"
	echo "$stamp" >"$dir/stamp"
}

# payload is a disk with what is run inside.
payload() {
	out=$cache/payload
	rm -rf "$out" "$out.disk" && mkdir -p "$out/sandbox"
	cp bin/mcpen scripts/vm/guest.sh "$out/"
	go test -c -trimpath -ldflags '-s -w' -tags "$TAGS" -o "$out/sandbox/sandbox.test" ./sandbox
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -tags "$TAGS" -o "$out/hostile" ./sandbox/internal/probe/hostile
	cp -r sandbox/testdata "$out/sandbox/"
	mke2fs -q -t ext4 -m 0 -d "$out" "$out.disk" "$(($(du -sm "$out" | cut -f1) + 32))M"
}

# boot runs one machine and leaves its results in a file.
boot() {
	name=$1 suite=$2 arch=$3 setting=$4 dir=$cache/$2-$3
	results=$cache/$name.results
	: >"$results"
	case $arch in
	amd64) qemu=(qemu-system-x86_64 -machine q35 -cpu max) console=ttyS0 ;;
	arm64) qemu=(qemu-system-aarch64 -machine virt -cpu max) console=ttyAMA0 ;;
	esac
	timeout --kill-after=10 "$limit" "${qemu[@]}" -accel tcg,thread=multi -smp 2 -m 2048 -nodefaults -no-reboot -display none \
		-kernel "$dir/vmlinuz" -initrd "$dir/initrd" \
		-append "root=/dev/vda rw console=$console quiet loglevel=3 systemd.show_status=0 mcpen.setting=$setting $5" \
		-drive "file=$dir/disk,if=virtio,format=raw,snapshot=on" \
		-drive "file=$cache/payload.disk,if=virtio,format=raw,readonly=on" \
		-device virtio-serial -chardev "file,id=results,path=$results" -device virtserialport,chardev=results,name=mcpen.results \
		-serial "file:$cache/$name.console" </dev/null || true
	grep -q '^end$' "$results" || echo "machine	did not come to its end: see $cache/$name.console" >>"$results"
}

TAGS=urfave_cli_no_docs,runc_nocriu
need
payload
failed=0
table=$(printf 'machine\tsuite\tresult')
while read -r name suite arch setting kernel; do
	case $name in '' | '#'*) continue ;; esac
	[ $# = 0 ] || printf '%s\n' "$@" | grep -qxF "$name" || continue
	image "$suite" "$arch" || { failed=1; continue; }
	started=$(date +%s)
	boot "$name" "$suite" "$arch" "$setting" "$kernel"
	sed "s/^/$name: /" "$cache/$name.results"
	echo "$name: $(($(date +%s) - started)) s"
	while IFS=$'\t' read -r what result; do
		[ "$what" != end ] || continue
		case $result in '') continue ;; esac
		table+=$(printf '\n%s\t%s\t%s' "$name" "$what" "$result")
		case $result in held* | weaker* | refused* | skipped* | facts*) ;; *) failed=1 ;; esac
	done <"$cache/$name.results"
	mkdir -p "$cache/doctor" && sed -n 's/^doctor| //p' "$cache/$name.results" >"$cache/doctor/$name.txt"
done <scripts/vm/machines
echo
echo "$table" | column -t -s "$(printf '\t')"
exit $failed
