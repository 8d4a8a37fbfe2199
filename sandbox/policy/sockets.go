package policy

import "path"

// hostSockets are sockets behind which is the machine itself, or everything the
// user's session holds: whoever may talk to one is out of the sandbox. Patterns
// with a "/" in front match the whole path, the others its last element.
var hostSockets = []struct{ pattern, what string }{
	{"docker.sock", "Docker, which runs anything as root"},
	{"podman.sock", "Podman, which runs anything outside"},
	{"containerd.sock", "containerd, which runs anything as root"},
	{"containerd.sock.ttrpc", "containerd, which runs anything as root"},
	{"crio.sock", "CRI-O, which runs anything as root"},
	{"buildkitd.sock", "BuildKit, which runs anything outside"},
	{"snapd*.socket", "snapd, which installs programs"},
	{"libvirt*-sock*", "libvirt, which runs machines with the host's disks"},
	{"/var/lib/lxd/unix.socket", "LXD, which runs anything as root"},
	{"/var/snap/lxd/common/lxd/unix.socket", "LXD, which runs anything as root"},
	{"/var/lib/incus/unix.socket", "Incus, which runs anything as root"},
	{"system_bus_socket", "the system bus, with systemd behind it"},
	{"/run/user/*/bus", "the session bus, with systemd behind it"},
	{"/run/user/*/at-spi/*", "the accessibility bus, which reads every window"},
	{"/run/systemd/*", "systemd, which starts programs"},
	{"/run/user/*/systemd/*", "systemd, which starts programs"},
	{"/run/user/*/keyring/*", "the keyring"},
	{"/run/user/*/gnupg/*", "the GnuPG agent"},
	{"S.gpg-agent*", "the GnuPG agent"},
	{"S.keyboxd", "the GnuPG keys"},
	{"/tmp/ssh-*/*", "an SSH agent"},
	{"ssh-agent*", "an SSH agent"},
	{"agent.*", "an SSH agent"},
	{"/tmp/.X11-unix/*", "the X server, which reads every key and types"},
	{"wayland-*", "the display server"},
	{"pipewire-*", "the microphone and the screen"},
	{"/run/user/*/pulse/native", "the microphone"},
	{"vscode-*.sock", "an editor, which runs commands"},
	{"/tmp/tmux-*/*", "tmux, which types into shells"},
	{"/run/WSL/*", "Windows, which runs anything"},
}

// hostSocket says what is behind a socket, or "" where it is nothing known.
func hostSocket(p string) string {
	if rest, ok := cutDir(p, "/var/run"); ok {
		p = "/run" + rest
	}
	for _, s := range hostSockets {
		subject := path.Base(p)
		if s.pattern[0] == '/' {
			subject = p
		}
		if ok, _ := path.Match(s.pattern, subject); ok {
			return s.what
		}
	}
	return ""
}

func cutDir(p, dir string) (string, bool) {
	if p == dir || !within(p, dir) {
		return p, false
	}
	return p[len(dir):], true
}

func (r *resolver) sockets(l list[socketRule]) []Socket {
	var out []Socket
	seen := make(map[string]bool)
	for _, s := range l.items {
		for _, w := range r.list([]word{s.word}, inText) {
			p, ok := r.path(w)
			if !ok || seen[p.Path] {
				continue
			}
			seen[p.Path] = true
			if p.Optional {
				r.add(w.at, w.key, "", `%s: a socket cannot be optional`, quote(w.text))
				continue
			}
			if err := r.refuseOwn(p.Path, "connect to"); err != nil {
				r.fault(w.at, w.key, err)
				continue
			}
			if what := hostSocket(p.Path); what != "" && s.override.v == "" && !r.bounds {
				r.add(w.at, w.key, "{ path = "+quote(p.Path)+", override = "+quote(Override)+" }",
					"%s is %s", quote(p.Path), what)
				continue
			}
			out = append(out, Socket{Path: p.Path, Override: s.override.v, At: w.at})
		}
	}
	return out
}
