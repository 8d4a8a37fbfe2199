#!/bin/bash
# Runs inside a virtual machine, in the login session of an ordinary user: what
# this machine gives mcpen, and whether mcpen says so. A result is a line with a
# tab: the check, and what became of it (held, weaker, refused, skipped, facts, or
# else FAILED). A machine that is tried with several settings puts the setting and a
# colon before the check. Lines "doctor SETTING| …" are what doctor said.
set -u
sudo chmod 666 /dev/virtio-ports/mcpen.results
[ "${1:-}" = confined ] || exec 3>/dev/virtio-ports/mcpen.results # nobody can open it twice
setting=$(sed -n 's/.*mcpen.setting=\([a-z]*\).*/\1/p' /proc/cmdline)
parts=$(sed -n 's/.*mcpen.parts=\([a-z,]*\).*/\1/p' /proc/cmdline | tr , ' ')
part=  # the setting that is tried, where there are several
want=starts # or "refused": what a start without --without is to do here
less=  # set where some limit may be a gap
say() {
	result=$2
	case $want$less:$result in starts:weaker* | starts:refused* | starts:skipped*) result="FAILED: $result" ;; esac
	printf '%s\t%s\n' "${part:+$part: }$1" "$result" >&3
}
tell() { sed "s/^/$1| /" >&3; }
work=/var/tmp/guest
mkdir -p "$work"
cp /payload/mcpen "$work/mcpen"
mcpen=$work/mcpen
export PATH=$PATH:/usr/sbin:/sbin

facts() {
	say machine "facts: Linux $(uname -r), $(ps -p 1 -o comm=) $(systemctl --version 2>/dev/null | sed -n '1s/systemd \([0-9]*\).*/\1/p'), $(cat /sys/kernel/security/lsm 2>/dev/null), $(stat -fc %T /sys/fs/cgroup), $(uname -m)"
}

# doctor says the same each time, from the first moment of the session on.
doctor() {
	"$mcpen" doctor >"$work/doctor" 2>"$work/doctor.err" </dev/null
	code=$?
	cat "$work/doctor" "$work/doctor.err" | sed "s/$(uname -r | sed 's/[.]/\\&/g')/KERNEL/; s|/fd/[0-9]*|/fd/N|g" | tell "doctor $part"
	same=held
	for _ in 1 ${1-2}; do
		"$mcpen" doctor >"$work/again" 2>/dev/null </dev/null
		cmp -s "$work/doctor" "$work/again" || { same="FAILED: doctor says something else than at first"; diff "$work/doctor" "$work/again" | tell differs; }
	done
	say "doctor is of one mind" "$same"
}

# start is a run of a program that does nothing.
start() { timeout 120 "$mcpen" run "$@" -- /bin/true </dev/null >"$work/out" 2>"$work/err"; }

# agree: run does what doctor says. A machine that lacks something stops the start with
# one error, any other starts.
agree() {
	start
	run=$?
	tell run <"$work/err"
	errors=$(grep -c 'mcpen: error:' "$work/err")
	if [ "$code" = 0 ] && [ "$run" = 0 ]; then
		[ $want = starts ] && result=held || result="FAILED: it starts"
	elif [ "$code" != 0 ] && [ "$run" = 125 ] && [ "$errors" = 1 ]; then
		result="refused: $(sed -n 's/.*error: //p' "$work/err" | cut -c1-150)"
	else
		result="FAILED: doctor $code, run $run, $errors errors"
	fi
	say "doctor and run agree" "$result"
	[ ! -s "$work/out" ] || say "stdout is the protocol's" "FAILED: $(head -c 100 "$work/out")"
}

# weaker is the tier that a person names where the machine has no namespaces.
weaker() {
	if start --without namespaces; then
		say "without namespaces" "weaker: $(sed -n '1s/^mcpen: true: //p' "$work/err" | cut -c1-100)"
	else
		say "without namespaces" "refused: $(sed -n 's/.*error: //p' "$work/err" | cut -c1-150)"
	fi
}

# pasted runs what doctor prints below a check that is missing, as a person does who
# pastes it, and starts again.
pasted() {
	"$mcpen" doctor --json 2>/dev/null | python3 -c 'import json, sys
for c in json.load(sys.stdin):
	if c.get("blocks"): print("\n".join(c.get("fix", [])))' >"$work/fix"
	tell fix <"$work/fix"
	bash "$work/fix" >"$work/fix.out" 2>&1 </dev/null || tell "fix failed" <"$work/fix.out"
	want=starts less=1
	if start; then say "what doctor prints, pasted" held; else say "what doctor prints, pasted" "FAILED: $(tail -1 "$work/err" | cut -c1-150)"; fi
}

profile() { printf 'version = 1\nname = "%s"\n%s\n' "$1" "$2" >"$work/$1.toml"; }

# server runs a profile with a client whose end stays open: one that closes it ends
# the server.
server() { timeout 240 "$mcpen" run "$work/$1.toml" < <(exec sleep 250) >/dev/null 2>"$work/err"; }

# limits that cannot be had are gaps and never a failed start; those that can be
# had hold, and the person is told which one ended the server.
limits() {
	profile eater "$(printf '[server]\ncommand = ["/usr/bin/python3", "-c", "x = []\\nwhile len(x) < 256: x.append(bytearray(1 << 20))"]\n[limits]\nmemory = "64MiB"')"
	server eater
	r=$?
	tell memory <"$work/err"
	if grep -q 'memory over 64MiB' "$work/err"; then
		say "memory limit" held
	elif grep -q 'not held: memory' "$work/err"; then
		say "memory limit" "weaker: $(sed -n 's/.*not held: //p' "$work/err" | cut -c1-150)"
	else
		say "memory limit" "FAILED: exit $r, $(tail -1 "$work/err" | cut -c1-100)"
	fi
	profile forks "$(printf '[server]\ncommand = ["/bin/sh", "-c", "i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done; wait"]\n[limits]\nprocesses = 16')"
	server forks
	tail -3 "$work/err" | tell processes
	if grep -qi 'fork\|processes over' "$work/err"; then say "process limit" held; else say "process limit" "FAILED: 60 processes of 16"; fi
	cat >"$work/spin.py" <<'P'
import os, sys, time
end = time.monotonic() + 8
for _ in range(3):
	if os.fork() == 0:
		break
while time.monotonic() < end:
	pass
sys.stderr.write("used %d\n" % (100 * sum(os.times()[:2])))
P
	profile spin "$(printf '[server]\ncommand = ["/usr/bin/python3", "%s"]\n[filesystem]\nread = ["%s"]\n[limits]\ncpu = 0.25' "$work/spin.py" "$work/spin.py")"
	server spin
	tell cpu <"$work/err"
	used=$(awk '/used/ {n += $2} END {print n + 0}' "$work/err") # hundredths of a second; four of them in eight seconds
	if grep -q 'not held: .*cpu' "$work/err"; then
		say "cpu limit" "weaker: $(sed -n 's/.*not held: //p' "$work/err" | cut -c1-150)"
	elif [ "$used" -gt 0 ] && [ "$used" -lt 800 ]; then # two would be right, of sixteen; the clock of a virtual processor runs while it waits
		say "cpu limit" held
	else
		say "cpu limit" "FAILED: $used hundredths of a second in eight, of a quarter of a core"
	fi
}

# A start of another kind has to come out as the plain one does.
likewise() {
	what=$1 r=$2
	tell "$what" <"$work/err"
	if [ "$r" = "$run" ]; then say "$what" held; else say "$what" "FAILED: exit $r, $(tail -1 "$work/err" | cut -c1-150)"; fi
}

# sessions: people start servers without a session bus (su, cron, some editors), and
# where the bus or the manager is stuck.
sessions() {
	(unset DBUS_SESSION_BUS_ADDRESS; start)
	likewise "no bus address" $?
	(unset DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR; start)
	likewise "no runtime directory" $?
	sudo cp "$mcpen" /usr/local/bin/mcpen
	for user in ben root; do
		sudo -u "$user" -H env -i HOME="$(getent passwd "$user" | cut -d: -f6)" PATH="$PATH" /usr/local/bin/mcpen run -- /bin/true </dev/null 2>"$work/err"
		likewise "$user without a session" $?
	done
	mkdir -p "$work/runtime" && chmod 700 "$work/runtime"
	python3 - "$work/runtime/bus" <<'P' &
import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(8); time.sleep(300)
P
	stuck=$!
	while [ ! -S "$work/runtime/bus" ]; do sleep 1; done
	(XDG_RUNTIME_DIR=$work/runtime start)
	likewise "a bus that never answers" $?
	kill $stuck
	if manager=$(pgrep -u "$(id -u)" -x systemd | head -1) && [ -n "$manager" ]; then
		kill -STOP "$manager"
		start
		likewise "a user manager that is stopped" $?
		kill -CONT "$manager"
	fi
}

# egress: a host on the loopback. The named port answers, another does not.
egress() {
	mkdir -p "$work/www" && echo hello >"$work/www/index.html"
	hosts=
	for port in 8123 8124; do
		(cd "$work/www" && exec python3 -m http.server $port --bind 127.0.0.1 >/dev/null 2>&1) &
		hosts="$hosts $!"
	done
	for port in 8123 8124; do
		until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2>/dev/null; do sleep 1; done
	done
	cat >"$work/web.py" <<'P'
import sys, urllib.request
for port in (8123, 8124):
	try:
		sys.stderr.write("%d %s" % (port, urllib.request.urlopen("http://localhost:%d/" % port, timeout=60).read().decode()))
	except Exception as e:
		sys.stderr.write("%d no: %s\n" % (port, e))
P
	profile web "$(printf '[server]\ncommand = ["/usr/bin/python3", "%s"]\n[filesystem]\nread = ["%s"]\n[network]\nallow = ["localhost:8123"]' "$work/web.py" "$work/web.py")"
	server web
	tell egress <"$work/err"
	if grep -q '8123 hello' "$work/err" && grep -q '8124 no' "$work/err"; then say egress held; else say egress "FAILED: $(tail -1 "$work/err" | cut -c1-150)"; fi
	kill $hosts
}

# servers installs real ones, as registries answered when they were asked for them, and
# calls a tool of each.
servers() {
	[ -d /payload/servers ] || { say "npm server" "skipped: none was kept for $(uname -m)"; return; }
	local home=$work/newcomer what package name call registry
	cp -r /payload/servers/home "$home" && cp -r /payload/servers/tools "$work/"
	python3 /payload/registry.py 4873 /payload/servers/registry 2>"$work/registry" &
	registry=$!
	until python3 -c "import socket; socket.create_connection(('127.0.0.1', 4873))" 2>/dev/null; do sleep 1; done
	while read -r what package name call; do
		if HOME=$home PATH=$work/tools:$PATH timeout 1200 "$mcpen" add "$package" </dev/null >"$work/out" 2>"$work/err" &&
			HOME=$home timeout 900 /payload/repo/bin/client -timeout 600s -list -allowed "$call" -- "$mcpen" run "$name" </dev/null >"$work/called" 2>>"$work/err"; then
			say "$what server" held
		else
			tail -v -n 5 "$work/out" "$work/err" "$work/called" "$work/registry" | tell "$what server"
			say "$what server" "FAILED: $(tail -1 "$work/err" | cut -c1-150)"
		fi
	done <<'P'
npm npm:@modelcontextprotocol/server-memory memory create_entities={"entities":[{"name":"a","entityType":"b","observations":["c"]}]}
PyPI pypi:mcp-server-time time get_current_time={"timezone":"UTC"}
P
	kill $registry
}

# suite runs a part of the tests of package sandbox.
suite() {
	(cd /payload/sandbox && HOME=$work TMPDIR=$work MCPEN_HOSTILE=/payload/hostile MCPEN_FEW_MOMENTS=1 ./sandbox.test -test.short -test.v -test.timeout 60m -test.run "$2" >"$work/suite" 2>&1)
	r=$?
	grep -v '^mcpen: \|^=== ' "$work/suite" >"$work/short"
	ran=$(grep -c '^--- PASS' "$work/short")
	skipped=$(grep '^--- SKIP' "$work/short" | sed 's/--- SKIP: \([^ ]*\).*/\1/' | tr '\n' ' ')
	if [ $r = 0 ] && [ "$ran" -gt 0 ]; then
		say "$1" "held: $ran tests${skipped:+, not run: $skipped}"
	else
		say "$1" "FAILED: exit $r, $(grep '^ *--- FAIL' "$work/short" | sed 's/ *--- FAIL: \([^ ]*\).*/\1/' | tr '\n' ' ')"
		# Of the table of the attacks the rows are left out, of what failed nothing.
		grep -v '^ *--- PASS\|^        [a-z0-9-]*  .*  ' "$work/short" | head -200 | cut -c1-600 | tell "$1"
	fi
}

# unmediated is a machine on which nobody can be asked about system calls: a server with
# a folder to write to is refused, and starts where a person goes without.
unmediated() {
	mkdir -p "$work/folder"
	profile writes "$(printf '[server]\ncommand = ["/bin/sh", "-c", "echo x >%s/file"]\n[filesystem]\nwrite = ["%s"]' "$work/folder" "$work/folder")"
	server writes
	r=$?
	tell mediation <"$work/err"
	if [ $r = 125 ] && grep -q 'error: .*mediation' "$work/err" && [ ! -e "$work/folder/file" ]; then
		say "folder to write to" "refused: $(sed -n 's/.*error: //p' "$work/err" | cut -c1-150)"
	else
		say "folder to write to" "FAILED: exit $r, $(tail -1 "$work/err" | cut -c1-150)"
	fi
	timeout 120 "$mcpen" run --without mediation "$work/writes.toml" < <(exec sleep 130) >/dev/null 2>"$work/err"
	if [ -e "$work/folder/file" ]; then say "without mediation" "weaker: $(head -1 "$work/err" | cut -c1-150)"; else say "without mediation" "FAILED: $(tail -1 "$work/err" | cut -c1-150)"; fi
}

demo() {
	if MCPEN_DEMO_BIN=/payload/repo/bin timeout 300 sh /payload/repo/scripts/demo.sh "$mcpen" >"$work/demo" 2>&1 </dev/null; then
		say demo held
	else
		say demo "FAILED: $(tail -1 "$work/demo" | cut -c1-150)"
		tail -40 "$work/demo" | cut -c1-300 | tell demo
	fi
}

# whole is all of it, or, on a machine of a kind that ran already, all but one suite.
whole() {
	doctor
	agree
	local p
	for p in ${parts:-limits sessions egress servers demo escape life weaker}; do
		case $p in
		escape) suite escape '^(TestEscape|TestPosture)$' ;;
		life) suite life '^TestLife' ;;
		weaker) [ "$1" = brief ] || suite "escape without namespaces" '^TestEscapeFromTheWeakerTier$' ;;
		*) "$p" ;;
		esac
	done
}

# brief is what one setting of several gets.
brief() {
	doctor ""
	agree
	if [ "$run" = 0 ]; then
		egress
		# The suite is a program of its own, and AppArmor's profile is for mcpen alone.
		[ "$part" = profiled ] || suite life '^TestLifePoliteServer$'
	else
		weaker
		pasted
	fi
}

# hardened tries the settings of hardened desktops one after the other.
hardened() {
	part=userns_clone want=refused
	sudo sysctl -q kernel.unprivileged_userns_clone=0
	brief
	part=max_user_namespaces want=refused less=
	sudo rm -f /etc/sysctl.d/90-mcpen.conf
	sudo sysctl -q user.max_user_namespaces=0
	brief
	part=yama want=starts less=
	sudo sysctl -q kernel.yama.ptrace_scope=2 kernel.dmesg_restrict=1 kernel.kptr_restrict=2
	brief
	part=hidepid
	sudo mount -o remount,hidepid=2 /proc
	brief
	part=noexec
	sudo mount -o remount,hidepid=0 /proc
	sudo mount -t tmpfs -o noexec,nosuid,nodev,mode=1777 tmpfs /tmp
	sudo mount --bind /home /home && sudo mount -o remount,bind,noexec,nosuid,nodev /home
	brief
}

# apparmor is Ubuntu's rule by other means: a profile of the session that lets nobody
# have a user namespace, and leaves programs that have a profile to it.
apparmor() {
	if [ "${1:-}" != confined ]; then
		printf 'abi <abi/4.0>,\nprofile session /usr/bin/bash flags=(attach_disconnected) {\n  /{,**} rwlkm,\n  capability,\n  network,\n  mount,\n  umount,\n  pivot_root,\n  unix,\n  ptrace,\n  signal,\n  dbus,\n  change_profile,\n  /** pix,\n}\n' |
			sudo tee /etc/apparmor.d/session >/dev/null
		sudo apparmor_parser -r /etc/apparmor.d/session >"$work/out" 2>&1 || { tell parser <"$work/out"; say "profile of the session" "FAILED: cannot be loaded"; return; }
		exec bash "$0" confined
	fi
	want=refused
	say confined "facts: $(cat /proc/self/attr/current)"
	doctor
	agree
	weaker
	printf 'n\n' | "$mcpen" doctor --fix >"$work/out" 2>"$work/err"
	if [ -e /etc/apparmor.d/mcpen ]; then say "doctor --fix, answered no" "FAILED: it wrote the profile"; else say "doctor --fix, answered no" held; fi
	want=starts less=1
	printf 'y\n' | script -qec "$mcpen doctor --fix" /dev/null >"$work/out" 2>"$work/err"
	tell fixed <"$work/out"
	if start; then say "doctor --fix" held; else say "doctor --fix" "FAILED: $(tail -1 "$work/err" | cut -c1-150)"; fi
	sudo apparmor_parser -R /etc/apparmor.d/mcpen && sudo rm /etc/apparmor.d/mcpen
	if start; then say "profile taken away" "FAILED: it starts"; fi
	pasted
	sudo apparmor_parser -R /etc/apparmor.d/mcpen && sudo rm /etc/apparmor.d/mcpen
	packaged
	part=profiled less=
	brief
}

# packaged is the Debian package: after it a server starts, and no profile is left when
# it is removed.
packaged() {
	own=$mcpen
	sudo dpkg -i /payload/mcpen.deb >"$work/out" 2>&1 || tell package <"$work/out"
	mcpen=/usr/bin/mcpen
	if start; then say "the package, installed" held; else say "the package, installed" "FAILED: $(tail -1 "$work/err" | cut -c1-150)"; fi
	sudo dpkg -r mcpen >"$work/out" 2>&1 || tell package <"$work/out"
	if [ -e /etc/apparmor.d/mcpen ]; then say "the package, removed" "FAILED: it left /etc/apparmor.d/mcpen"; else say "the package, removed" held; fi
	mcpen=$own
	bash "$work/fix" >"$work/fix.out" 2>&1 </dev/null
}

# podman starts mcpen in containers without root, as devcontainers are.
podman() {
	less=1
	tried=0
	sudo chown -R "$(id -u):$(id -g)" /srv/rootfs # podman writes into it as its owner
	while IFS='|' read -r name options; do
		part=$name
		sed "s/^/export /" >"$work/inside.sh" <<<"PATH=/usr/bin:/bin:/usr/sbin:/sbin"
		cat >>"$work/inside.sh" <<'P'
/payload/mcpen doctor >/tmp/doctor 2>&1; code=$?
sed 's/^/doctor| /' /tmp/doctor
/payload/mcpen run -- /bin/true </dev/null 2>/tmp/err; run=$?
sed 's/^/run| /' /tmp/err
echo "codes $code $run"
[ $run = 0 ] || exit
cd /payload/sandbox && HOME=/tmp MCPEN_HOSTILE=/payload/hostile ./sandbox.test -test.short -test.v -test.timeout 30m -test.run '^(TestPosture|TestLifePoliteServer)$' >/tmp/suite 2>&1
echo "suite $? $(grep -c '^--- PASS' /tmp/suite)"
grep -v '^mcpen: \|^=== ' /tmp/suite | tail -30
P
		# shellcheck disable=SC2086 # the options are words
		command podman run --rm --network none $options -v /payload:/payload:ro -v "$work:$work" --rootfs /srv/rootfs:O sh "$work/inside.sh" >"$work/podman" 2>&1 </dev/null
		sed -n 's/^doctor| //p' "$work/podman" | sed "s/$(uname -r | sed 's/[.]/\\&/g')/KERNEL/; s|/fd/[0-9]*|/fd/N|g" | tell "doctor $part"
		grep -v '^doctor| ' "$work/podman" | tell "podman $part"
		read -r _ code run < <(grep '^codes' "$work/podman")
		read -r _ suite ran < <(grep '^suite' "$work/podman")
		[ "$run" != 0 ] || if [ "$suite $ran" = "0 2" ]; then say life "held: 2 tests"; else say life "FAILED: exit ${suite:-none}, $ran passed"; fi
		case "$code $run" in
		"0 0") say "doctor and run agree" "held: $options" ;;
		"125 125") want=refused; say "doctor and run agree" "refused: $(sed -n 's/^run| .*error: //p' "$work/podman" | cut -c1-120)"; want=starts ;;
		*) say "doctor and run agree" "FAILED: doctor ${code:-none}, run ${run:-none}" ;;
		esac
		tried=$((tried + 1))
	done <<'P'
default|
unmask|--security-opt unmask=ALL
unmask and seccomp|--security-opt unmask=ALL --security-opt seccomp=unconfined
as in doctor|--security-opt unmask=ALL --security-opt seccomp=unconfined --security-opt apparmor=unconfined
P
}

# A machine has an interface, whose address a server must not learn.
sudo ip link add dummy0 type dummy && sudo ip address add 192.0.2.7/24 dev dummy0 && sudo ip link set dummy0 up
facts
case $setting in
plain) whole all ;;
again) whole brief ;;
attacks) suite escape '^(TestEscape|TestPosture)$' ;;
floor)
	want=refused
	doctor
	agree
	weaker
	;;
hardened) hardened ;;
apparmor) apparmor "$@" ;;
podman) podman ;;
wsl)
	less=1 # its control groups are root's
	doctor
	agree
	limits
	egress
	unmediated
	;;
esac
printf 'end\n' >&3
