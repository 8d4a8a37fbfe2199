#!/usr/bin/env bash
# Real machines in software: builds Debian images, boots each under qemu without
# KVM, and runs mcpen in a login session of an ordinary user there. Prints one
# line a check and, at the end, a table: machine, suite, result. What doctor says is
# compared with scripts/vm/doctor; MCPEN_VM_UPDATE=1 writes it there.
#
#	scripts/vm.sh [--if-possible] [MACHINE…]     # default: every machine of scripts/vm/machines
#
# MCPEN_VM_PARTS="limits egress" runs these parts of a whole machine (scripts/vm/guest.sh)
# again, beside doctor and a start; what the others found before stays as it was.
#
# Images and results are kept in $MCPEN_VM (default: ~/.cache/mcpen-vm). The network is
# used only to make an image, from the package mirror that this machine is set up with,
# and, once, for what two real servers need of the registries.
# Needs root for mmdebstrap, or a machine that lets users have namespaces. With
# --if-possible it is no failure where programs are missing or no image can be made; why is said.
set -euo pipefail
cd "$(dirname "$0")/.."
lacks=1
[ "${1:-}" != --if-possible ] || { lacks=0; shift; }
cache=${MCPEN_VM:-${XDG_CACHE_HOME:-$HOME/.cache}/mcpen-vm}
limit=${MCPEN_VM_SECONDS:-5400}
parts=${MCPEN_VM_PARTS:-}
machines=$*
mkdir -p "$cache"

need() {
	missing=
	for pair in qemu-system-x86_64:qemu-system-x86 mmdebstrap:mmdebstrap mke2fs:e2fsprogs dpkg-shlibdeps:dpkg-dev; do
		command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
	done
	[ -z "$missing" ] || { echo "vm: needs: sudo apt-get install -y --no-install-recommends$missing" >&2; exit $lacks; }
}

# mirror is where this machine's own packages come from.
mirror() {
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | sort -u | head -1
}

# foreign says what an image of another architecture than this machine's needs.
foreign() {
	[ "$1" != "$(dpkg --print-architecture)" ] || return 0
	missing=
	for pair in qemu-system-aarch64:qemu-system-arm aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu arch-test:arch-test; do
		command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
	done
	[ -z "$missing" ] || { echo "vm: $1 needs: sudo apt-get install -y --no-install-recommends$missing libc6-dev-arm64-cross qemu-user-static" >&2; return 1; }
	arch-test "$1" >/dev/null || { echo "vm: this kernel starts no programs of $1: qemu-user-static and binfmt_misc do that" >&2; return 1; }
}

# image makes the disk, the kernel and the initramfs of a suite and architecture, with
# more packages and a root for containers where a setting has them.
image() {
	suite=$1 arch=$2 more=scripts/vm/packages.$3
	[ -e "$more" ] && dir=$cache/$1-$2-$3 || { dir=$cache/$1-$2 more=; }
	# shellcheck disable=SC2086 # $more may be none
	stamp=$(cat scripts/vm/packages $more scripts/vm/customize.sh | sha256sum | cut -c1-16)
	[ "$(cat "$dir/stamp" 2>/dev/null)" != "$stamp" ] || return 0
	echo "vm: making an image of $suite $arch" >&2
	rm -rf "$dir" && mkdir -p "$dir"
	kernel=linux-image-$arch
	# A mirror that is a snapshot is older than its suites promise; they are signed.
	set -- "$1" "$2" "$3" --aptopt='Acquire::Check-Valid-Until "false"' --arch="$arch" --variant=minbase
	mmdebstrap --quiet "${@:4}" --include="$kernel,$(cat scripts/vm/packages $more | paste -sd,)" \
		--customize-hook='scripts/vm/customize.sh "$1"' "$suite" "$dir/root" "$(mirror)" >"$dir/log" 2>&1 ||
		{ tail -5 "$dir/log" >&2; echo "vm: cannot make an image of $suite $arch: see $dir/log" >&2; return 1; }
	if [ -n "$more" ]; then
		mmdebstrap --quiet "${@:4}" "$suite" "$dir/root/srv/rootfs" "$(mirror)" >>"$dir/log" 2>&1
	fi
	cp "$dir"/root/boot/vmlinuz-* "$dir/vmlinuz"
	cp "$dir"/root/boot/initrd.img-* "$dir/initrd"
	rm -rf "$dir"/root/boot/* "$dir"/root/var/cache/apt "$dir"/root/var/lib/apt/lists
	mke2fs -q -t ext4 -m 0 -d "$dir/root" "$dir/disk" "$(($(du -sm "$dir/root" | cut -f1) + 600))M"
	rm -rf "$dir/root"
	echo "$stamp" >"$dir/stamp"
}

# wanted reports whether a list has one of the words; an empty list has all.
wanted() {
	local list=" $1 " word
	shift
	[ "$list" != "  " ] || return 0
	for word; do case $list in *" $word "*) return 0 ;; esac; done
	return 1
}

# payload is a disk with what is run inside. What it is built with for another
# architecture is a cross compiler. A machine below the floor has an older C library,
# too, without which no program of this machine would say anything there.
payload() {
	arch=${1%-floor} out=$cache/payload-$1 link='-s -w'
	rm -rf "$out" "$out.disk" && mkdir -p "$out/sandbox" "$out/repo/scripts" "$out/repo/examples/mischief" "$out/repo/bin"
	cp scripts/vm/guest.sh scripts/vm/wsl.sh scripts/vm/listener.py scripts/vm/registry.py "$out/"
	cp scripts/demo.sh "$out/repo/scripts/"
	cp examples/mischief/mischief.toml "$out/repo/examples/mischief/"
	export GOARCH=$arch CGO_ENABLED=1
	[ "$arch" = "$(go env GOHOSTARCH)" ] || export CC=aarch64-linux-gnu-gcc
	rm -rf "$cache/build" && mkdir -p "$cache/build" && git ls-files -z | xargs -0 cp --parents -t "$cache/build"
	(
		cd "$cache/build"
		if [ "$1" != "$arch" ]; then
			mkdir -p "$out/lib" && cp /lib/x86_64-linux-gnu/lib{c,resolv,pthread}.so.? /lib64/ld-linux-x86-64.so.2 "$out/lib/"
			link='-s -w -extldflags "-Wl,--dynamic-linker=/payload/lib/ld-linux-x86-64.so.2 -Wl,-rpath=/payload/lib"'
		fi
		go build -trimpath -ldflags "$link" -tags "$TAGS" -o cmd/mcpen/embedded/mcpen-launcher ./cmd/mcpen-launcher
		go build -trimpath -ldflags "$link" -tags "$TAGS,mcpen_launcher" -o "$out/mcpen" ./cmd/mcpen
		[ "$1" = "$arch" ] || exit 0
		if [ "$arch" = "$(dpkg --print-architecture)" ] && wanted "$machines" apparmor; then
			install -D "$out/mcpen" bin/mcpen && cp "$(scripts/deb.sh 0.1)" "$out/mcpen.deb"
		fi
		if wanted "$parts" escape life weaker; then
			go test -c -trimpath -ldflags '-s -w' -tags "$TAGS" -o "$out/sandbox/sandbox.test" ./sandbox
			CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -tags "$TAGS" -o "$out/hostile" ./sandbox/internal/probe/hostile
		fi
		CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/repo/bin/" ./examples/mischief ./examples/client
	)
	cp -r sandbox/testdata "$out/sandbox/"
	[ "$1" != "$arch" ] || ! wanted "$parts" servers || servers "$arch"
	unset GOARCH CGO_ENABLED CC
	mke2fs -q -t ext4 -m 0 -d "$out" "$out.disk" "$(($(du -sm "$out" | cut -f1) + 32))M"
	built="$built $1 "
}

# servers keeps what is asked of the registries for two real servers, once, and gives it
# to the payload. The recorder is of this machine; the packages are of the machine's.
servers() {
	cpu=$(case $1 in arm64) echo aarch64 ;; *) echo x86_64 ;; esac)
	kept=$cache/servers-$1
	stamp=$(cat scripts/vm/servers.sh scripts/vm/registry.py | sha256sum | cut -c1-16)
	if [ "$(cat "$kept/stamp" 2>/dev/null)" != "$stamp" ]; then
		echo "vm: asking the registries for what real servers need on $1" >&2
		(unset GOARCH CGO_ENABLED CC; cd "$cache/build" && go build -tags "$TAGS" -o "$cache/mcpen-launcher" ./cmd/mcpen-launcher &&
			cp "$cache/mcpen-launcher" cmd/mcpen/embedded/ && go build -tags "$TAGS,mcpen_launcher" -o "$cache/mcpen" ./cmd/mcpen)
		scripts/vm/servers.sh "$kept" "$cache/mcpen" "$cpu" npm:@modelcontextprotocol/server-memory pypi:mcp-server-time >"$kept.log" 2>&1 ||
			{ tail -3 "$kept.log" >&2; echo "vm: no real servers: see $kept.log" >&2; rm -rf "$kept"; return; }
		echo "$stamp" >"$kept/stamp"
	fi
	cp -r "$kept" "$out/servers"
}

# booted waits until the machine that was started says something, or ends. Software
# emulation now and then stops one while it boots.
booted() {
	local waited
	for waited in $(seq 60); do
		[ ! -s "$results" ] || return 0
		kill -0 "$machine" 2>/dev/null || return 0
		sleep 10
	done
	return 1
}

# boot runs one machine and leaves its results in a file.
boot() {
	name=$1 suite=$2 arch=$3 setting=$4
	results=$cache/$name.results
	[ ! -e "$results" ] || [ -z "$parts" ] || mv "$results" "$results.before"
	# Without cx16: several processors of qemu 7.2 without KVM may panic a kernel by cmpxchg16b.
	case $arch in
	amd64) qemu=(qemu-system-x86_64 -machine q35 -cpu max,-cx16) console=ttyS0 ;;
	arm64) qemu=(qemu-system-aarch64 -machine virt -cpu cortex-a72) console=ttyAMA0 ;;
	esac
	local try
	for try in 1 2; do
		: >"$results"
		timeout --kill-after=10 "$limit" "${qemu[@]}" -accel tcg,thread=multi -smp 2 -m 2048 -nodefaults -no-reboot -display none \
			-kernel "$dir/vmlinuz" -initrd "$dir/initrd" \
			-append "root=/dev/vda rw console=$console quiet loglevel=3 systemd.show_status=0 mcpen.setting=$setting mcpen.parts=${parts// /,} $5" \
			-drive "file=$dir/disk,if=virtio,format=raw,snapshot=on" \
			-drive "file=$cache/payload-$load.disk,if=virtio,format=raw,readonly=on" \
			-device virtio-serial -chardev "file,id=results,path=$results" -device virtserialport,chardev=results,name=mcpen.results \
			-serial "file:$cache/$name.console" </dev/null &
		machine=$!
		booted && break
		kill $machine 2>/dev/null || true
		wait $machine || true
		echo "vm: $name says nothing: booting it again" >&2
	done
	wait $machine || true
	machine=
	rest=
	if [ -n "$parts" ] && [ -e "$results.before" ]; then
		# What ran before keeps its own commit.
		rest=$(sed -n "s/^commit\tfacts: \([^,]*\),[^(]*(\([^;]*\);\(.*\))$/ ($parts; \2 of \1;\3)/p; s/^commit\tfacts: \([^,]*\),[^(]*$/ ($parts; the rest is of \1)/p" "$results.before")
		grep -v $'^[^\t]*| ' "$results.before" | grep -v '^commit\|^machine\|doctor as written down' |
			awk -F'\t' 'NR == FNR {new[$1] = 1; next} NF > 1 && !($1 in new)' "$results" - >"$cache/kept"
		cat "$cache/kept" >>"$results"
	fi
	grep -q '^end$' "$results" || echo "machine	did not come to its end: see $cache/$name.console" >>"$results"
}

# said compares what doctor said with what is written down, a setting at a time.
said() {
	sed -n 's/^doctor \([^|]*\)| .*/\1/p' "$results" | sort -u >"$cache/parts"
	while read -r part; do
		file=scripts/vm/doctor/$(echo "$name $part" | sed 's/ *$//; s/ /-/g').txt
		sed -n "s/^doctor $part| //p" "$results" >"$cache/said"
		[ -z "${MCPEN_VM_UPDATE:-}" ] || cp "$cache/said" "$file"
		if diff -u "$file" "$cache/said" >"$cache/said.diff" 2>&1; then
			printf '%sdoctor as written down\theld\n' "${part:+$part: }" >>"$results"
		else
			sed 's/^/doctor as written down| /' "$cache/said.diff" >>"$results"
			printf '%sdoctor as written down\tFAILED: see %s\n' "${part:+$part: }" "$file" >>"$results"
		fi
	done <"$cache/parts"
}

TAGS=urfave_cli_no_docs,runc_nocriu
need
# What ends this script ends the machine, too.
machine=
trap '[ -z "$machine" ] || kill "$machine" 2>/dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
built=
failed=0
table=$(printf 'machine\tsuite\tresult')
while read -r name suite arch setting kernel; do
	case $name in '' | '#'*) continue ;; esac
	[ $# = 0 ] || printf '%s\n' "$@" | grep -qxF "$name" || continue
	foreign "$arch" && image "$suite" "$arch" "$setting" || { failed=$lacks; continue; }
	load=$arch
	[ "$setting" != floor ] || load=$arch-floor
	case $built in *" $load "*) ;; *) payload "$load" ;; esac
	started=$(date +%s)
	boot "$name" "$suite" "$arch" "$setting" "$kernel"
	said
	printf 'commit\tfacts: %s, %s, %d s%s\n' "$(git rev-parse --short HEAD)" "$(date -u +%F)" "$(($(date +%s) - started))" "$rest" >>"$results"
	sed "s/^/$name: /" "$results"
	while IFS=$'\t' read -r what result; do
		case $result in '') continue ;; esac
		table+=$(printf '\n%s\t%s\t%s' "$name" "$what" "$result")
		case $result in held* | weaker* | refused* | skipped* | facts*) ;; *) failed=1 ;; esac
	done < <(grep -v $'^[^\t]*| ' "$results")
done <scripts/vm/machines
echo
echo "$table" | column -t -s "$(printf '\t')" -l 3
exit $failed
