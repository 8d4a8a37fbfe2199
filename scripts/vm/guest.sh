#!/bin/bash
# Runs inside a virtual machine, in the login session of an ordinary user: what
# this machine gives mcpen, and whether mcpen says so. A result is a line with a
# tab: the check, and what became of it (held, weaker, refused, skipped, facts, or
# else FAILED).
set -u
sudo chmod 666 /dev/virtio-ports/mcpen.results
exec 3>/dev/virtio-ports/mcpen.results
say() { printf '%s\t%s\n' "$1" "$2" >&3; }
setting=$(sed -n 's/.*mcpen.setting=\([a-z]*\).*/\1/p' /proc/cmdline)
work=$(mktemp -d /var/tmp/guest.XXXXXX)
cp /payload/mcpen "$work/mcpen"
mcpen=$work/mcpen
export PATH=$PATH:/usr/sbin:/sbin

prepare() {
	case $setting in
	hardened)
		sudo sysctl -q kernel.yama.ptrace_scope=2 kernel.dmesg_restrict=1 kernel.kptr_restrict=2
		sudo mount -o remount,hidepid=2 /proc
		sudo mount -t tmpfs -o noexec,nosuid,nodev,mode=1777 tmpfs /tmp
		sudo mount --bind /home /home && sudo mount -o remount,bind,noexec,nosuid,nodev /home
		;;
	nouserns) sudo sysctl -q kernel.unprivileged_userns_clone=0 user.max_user_namespaces=0 ;;
	apparmor) sudo sysctl -q kernel.apparmor_restrict_unprivileged_userns=1 2>/dev/null || say "rule for user namespaces" "skipped: this kernel has none" ;;
	esac
}

facts() {
	say machine "facts: Linux $(uname -r), systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p'), $(cat /sys/kernel/security/lsm 2>/dev/null), cgroup $(stat -fc %T /sys/fs/cgroup)"
}

# doctor says the same each time, from the first moment of the session on.
doctor() {
	"$mcpen" doctor >"$work/doctor" 2>"$work/doctor.err"
	code=$?
	sed 's/^/doctor| /' "$work/doctor" "$work/doctor.err" >&3
	same=held
	for _ in 1 2 3; do
		"$mcpen" doctor >"$work/again" 2>/dev/null
		cmp -s "$work/doctor" "$work/again" || { same="FAILED: doctor says something else than at first"; diff "$work/doctor" "$work/again" | sed 's/^/doctor differs| /' >&3; }
	done
	say "doctor is of one mind" "$same"
}

# run does what doctor says: a machine that lacks something stops the start with
# one error, any other starts.
agree() {
	"$mcpen" run -- /bin/true </dev/null >"$work/out" 2>"$work/err"
	run=$?
	sed 's/^/run| /' "$work/err" >&3
	if [ "$code" = 0 ] && [ "$run" = 0 ]; then
		say "doctor and run agree" held
	elif [ "$code" != 0 ] && [ "$run" = 125 ]; then
		say "doctor and run agree" "refused: $(grep -m1 'error:' "$work/err" | cut -c1-150)"
	else
		say "doctor and run agree" "FAILED: doctor $code, run $run"
	fi
	[ ! -s "$work/out" ] || say "stdout is the protocol's" "FAILED: $(head -c 100 "$work/out")"
}

# weaker is the tier that a person names where the machine has no namespaces.
weaker() {
	[ "$run" != 0 ] || return 0
	if "$mcpen" run --without namespaces -- /bin/true </dev/null >"$work/out" 2>"$work/err"; then
		say "without namespaces" "weaker: $(head -1 "$work/err" | cut -c1-150)"
	else
		say "without namespaces" "refused: $(grep -m1 'error:' "$work/err" | cut -c1-150)"
	fi
}

profile() { printf 'version = 1\nname = "%s"\n%s\n' "$1" "$2" >"$work/$1.toml"; }

# A client whose end stays open: one that closes it ends the server.
# limits that cannot be had are gaps and never a failed start; those that can be
# had hold, and the person is told which one ended the server.
limits() {
	profile eater "$(printf '[server]\ncommand = ["/usr/bin/python3", "-c", "x = []\\nwhile True: x.append(bytearray(1 << 20))"]\n[limits]\nmemory = "64MiB"')"
	timeout 120 "$mcpen" run "$work/eater.toml" < <(exec sleep 130) >/dev/null 2>"$work/err"
	r=$?
	sed 's/^/memory| /' "$work/err" >&3
	if grep -q 'memory over 64MiB' "$work/err"; then
		say "memory limit" held
	elif grep -q 'not held: memory' "$work/err"; then
		say "memory limit" "weaker: $(tail -1 "$work/err" | cut -c1-150)"
	else
		say "memory limit" "FAILED: exit $r, $(tail -1 "$work/err" | cut -c1-100)"
	fi
	profile forks "$(printf '[server]\ncommand = ["/bin/sh", "-c", "i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done; wait"]\n[limits]\nprocesses = 16')"
	timeout 120 "$mcpen" run "$work/forks.toml" < <(exec sleep 130) >/dev/null 2>"$work/err"
	sed 's/^/processes| /' "$work/err" | tail -3 >&3
	if grep -qi 'fork\|processes' "$work/err"; then say "process limit" held; else say "process limit" "FAILED: 60 processes of 16"; fi
}

# people start servers without a session bus: su, cron, some editors.
sessions() {
	env -u DBUS_SESSION_BUS_ADDRESS "$mcpen" run -- /bin/true </dev/null 2>"$work/err"
	[ $? = "$run" ] && say "no bus address" held || say "no bus address" "FAILED: $(tail -1 "$work/err")"
	env -u DBUS_SESSION_BUS_ADDRESS -u XDG_RUNTIME_DIR "$mcpen" run -- /bin/true </dev/null 2>"$work/err"
	[ $? = "$run" ] && say "no runtime directory" held || say "no runtime directory" "FAILED: $(tail -1 "$work/err")"
	for user in ben root; do
		sudo cp "$mcpen" /usr/local/bin/mcpen
		sudo -u "$user" -H env -i HOME="$(getent passwd "$user" | cut -d: -f6)" PATH="$PATH" /usr/local/bin/mcpen run -- /bin/true </dev/null 2>"$work/err"
		r=$?
		sed "s/^/$user| /" "$work/err" >&3
		[ $r = "$run" ] || [ $user = root ] && [ $r = 0 ] && say "$user without a session" held || { [ $r = "$run" ] && say "$user without a session" "refused: as for the other" || say "$user without a session" "FAILED: exit $r, $(tail -1 "$work/err" | cut -c1-120)"; }
	done
	# A bus that accepts and never answers.
	mkdir -p "$work/runtime" && chmod 700 "$work/runtime"
	python3 - "$work/runtime/bus" <<'P' &
import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(8); time.sleep(60)
P
	sleep 1
	began=$(date +%s)
	XDG_RUNTIME_DIR=$work/runtime timeout 60 "$mcpen" run -- /bin/true </dev/null 2>"$work/err"
	[ $? = "$run" ] && say "a bus that never answers" "held: after $(($(date +%s) - began)) s" || say "a bus that never answers" "FAILED: $(tail -1 "$work/err" | cut -c1-150)"
	kill %1 2>/dev/null
}

# a host on the loopback: the named port answers, another does not.
egress() {
	[ "$run" = 0 ] || { say egress "skipped: nothing starts"; return; }
	mkdir -p "$work/www" && echo hello >"$work/www/index.html"
	(cd "$work/www" && exec python3 -m http.server 8123 --bind 127.0.0.1 >/dev/null 2>&1) &
	(cd "$work/www" && exec python3 -m http.server 8124 --bind 127.0.0.1 >/dev/null 2>&1) &
	sleep 4
	profile web "$(printf '[server]\ncommand = ["/usr/bin/python3", "-c", "import urllib.request, sys\\nfor p in (8123, 8124):\\n try: sys.stderr.write(str(p) + urllib.request.urlopen(%%chttp://localhost:%%cs/%%c %%%% p, timeout=20).read().decode())\\n except Exception as e: sys.stderr.write(str(p) + \\" no: \\" + str(e) + chr(10))"]\n[network]\nallow = ["localhost:8123"]')"
	sed -i "s/%chttp/'http/; s/:%cs\\/%c %% p/:%s\\/' % p/; s/%%c/%/g" "$work/web.toml"
	timeout 120 "$mcpen" run "$work/web.toml" < <(exec sleep 130) >/dev/null 2>"$work/err"
	sed 's/^/egress| /' "$work/err" >&3
	if grep -q '8123hello' "$work/err" && grep -q '8124 no' "$work/err"; then say egress held; else say egress "FAILED: $(tail -1 "$work/err" | cut -c1-150)"; fi
	kill %1 %2 2>/dev/null
}

# suite runs a part of the tests of package sandbox.
suite() {
	[ "$run" = 0 ] || { say "$1" "skipped: nothing starts"; return; }
	(cd /payload/sandbox && HOME=$work TMPDIR=$work MCPEN_HOSTILE=/payload/hostile timeout 900 ./sandbox.test -test.v -test.timeout 15m -test.run "$2" -test.skip "${3:-^$}" >"$work/suite" 2>&1)
	r=$?
	ran=$(grep -c '^--- PASS' "$work/suite")
	skipped=$(grep '^ *--- SKIP' "$work/suite" | sed 's/ *--- SKIP: \([^ ]*\).*/\1/' | tr '\n' ' ')
	if [ $r = 0 ] && [ "$ran" -gt 0 ]; then
		say "$1" "held: $ran tests${skipped:+, not run: $skipped}"
	else
		say "$1" "FAILED: $(grep '^ *--- FAIL' "$work/suite" | sed 's/ *--- FAIL: \([^ ]*\).*/\1/' | tr '\n' ' ')"
		grep -v '^=== \|^ *--- PASS' "$work/suite" | head -60 | sed "s/^/$1| /" >&3
	fi
}

prepare
facts
doctor
agree
weaker
if [ "$setting" != floor ]; then
	[ "$run" != 0 ] || { limits; sessions; }
	egress
	suite "escape suite" '^(TestEscape|TestEscapeFromTheWeakerTier|TestPosture)$'
	suite life '^TestLife'
fi
printf 'end\n' >&3
