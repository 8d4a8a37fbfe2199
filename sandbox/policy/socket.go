package policy

import (
	"path"
	"strings"
)

// HostSocket reports whether a unix socket is the host itself: whoever may connect to
// it can start programs, read secrets or watch the screen outside every sandbox. It
// checks only the path, so it misses a service that listens at an unusual path. why is
// for a person and completes "cannot give the socket: …".
//
// Call it for the path as written and for the path with every symlink resolved.
func HostSocket(p string) (why string, isHost bool) {
	p = path.Clean(p)
	// /var/run is /run on every system with systemd, and on most others.
	if rest, ok := strings.CutPrefix(p, "/var/run/"); ok {
		p = "/run/" + rest
	}
	for _, s := range hostSockets {
		if s.matches(p) {
			return s.why, true
		}
	}
	return "", false
}

// hostSocket is one kind of socket. It matches if every non-empty field matches.
type hostSocket struct {
	under string // a directory above it, by its absolute path
	has   string // a part of the path, slashes included
	base  string // a glob over the last element, as path.Match reads it
	why   string
}

func (s hostSocket) matches(p string) bool {
	if s.under != "" && !strings.HasPrefix(p, s.under+"/") {
		return false
	}
	if s.has != "" && !strings.Contains(p, s.has) {
		return false
	}
	if s.base != "" {
		ok, err := path.Match(s.base, path.Base(p))
		if err != nil || !ok {
			return false
		}
	}
	return true
}

// The reasons why a socket is the host.
const (
	whyContainers = "whoever talks to a container engine can start a container with the whole host in it"
	whyBus        = "the message bus starts programs outside the sandbox (systemd-run, portals, key rings)"
	whySystemd    = "the service manager starts programs outside the sandbox"
	whyVM         = "whoever talks to a virtual machine monitor can give a machine the host's disks"
	whyAgent      = "the agent signs with the user's own keys for whoever asks"
	whySecrets    = "it hands out the user's stored secrets"
	whyDisplay    = "the display server shows the screen, reads the keyboard and types into other windows"
	whySound      = "the sound server records the microphone, and loads modules that run programs"
	whyEditor     = "the editor runs commands and opens files outside the sandbox for whoever connects"
	whyTerminal   = "the terminal multiplexer types into the user's own shells"
	whyWSL        = "it starts Windows programs outside the sandbox"
	whyNames      = "it answers for any name: names, and what hides in them, would get out"
)

// hostSockets lists the default paths of the services' sockets, and the names that they
// use elsewhere.
var hostSockets = []hostSocket{
	// Container engines. The rootless ones live below XDG_RUNTIME_DIR or HOME.
	{base: "docker*.sock", why: whyContainers},
	{has: "/.docker/", base: "*.sock", why: whyContainers}, // Docker Desktop
	{base: "podman*.sock", why: whyContainers},
	{under: "/run/podman", why: whyContainers},
	{has: "/podman/", base: "*.sock", why: whyContainers},
	{base: "containerd*.sock*", why: whyContainers},
	{has: "/containerd/", why: whyContainers},
	{has: "/buildkit/", base: "*.sock", why: whyContainers},
	{base: "buildkitd.sock", why: whyContainers},
	{has: "/crio/", base: "*.sock", why: whyContainers},
	{base: "cri-dockerd.sock", why: whyContainers},
	{base: "dockershim.sock", why: whyContainers},
	{has: "/.colima/", base: "*.sock", why: whyContainers},
	{has: "/.lima/", base: "*.sock", why: whyContainers},
	{has: "/.rd/", base: "*.sock", why: whyContainers},       // Rancher Desktop
	{has: "/.orbstack/", base: "*.sock", why: whyContainers}, // OrbStack
	{has: "/lxd/", base: "unix.socket*", why: whyContainers},
	{has: "/incus/", base: "unix.socket*", why: whyContainers},
	{base: "crio.sock", why: whyContainers},
	{base: "snapd*.socket", why: "it installs and configures snaps"},
	{has: "/kubelet/", base: "*.sock", why: whyContainers},
	{has: "/libvirt/", why: whyVM},
	{base: "libvirt*-sock*", why: whyVM},
	{base: "qemu-*.sock", why: whyVM},
	{base: "firecracker*.sock*", why: whyVM},

	// Buses and service managers.
	{under: "/run/dbus", why: whyBus},
	{base: "system_bus_socket", why: whyBus},
	{under: "/run/user", base: "bus", why: whyBus},
	{has: "/dbus-1/", why: whyBus},
	{base: "dbus-*", why: whyBus},
	{has: "/at-spi/", why: whyBus},
	{has: "/at-spi2-", why: whyBus},
	{under: "/run/systemd/resolve", why: whyNames},
	{under: "/run/systemd", why: whySystemd},
	{under: "/run/user", has: "/systemd/", why: whySystemd},
	{under: "/run/udev", why: whySystemd},
	{under: "/run/initctl", why: whySystemd},
	{base: "initctl", why: whySystemd},
	{base: "pkexec*.socket", why: whySystemd},
	{has: "/polkit", why: whySystemd},
	{has: "/supervisor", base: "*.sock", why: whySystemd},
	{has: "/nscd/", base: "socket", why: whyNames},
	{has: "/avahi-daemon/", base: "socket", why: whyNames},

	// Agents and key rings.
	{base: "S.gpg-agent*", why: whyAgent},
	{base: "S.scdaemon", why: whyAgent},
	{base: "S.dirmngr", why: whyAgent},
	{base: "S.keyboxd", why: whyAgent},
	{base: "S.uiserver", why: whyAgent},
	{has: "/gnupg/", base: "S.*", why: whyAgent},
	{has: "/.gnupg/", why: whyAgent},
	{base: "agent.*", why: whyAgent}, // OpenSSH: /tmp/ssh-XXXXXXXXXX/agent.PID
	{under: "/tmp", has: "/ssh-", why: whyAgent},
	{has: "/.ssh/", why: whyAgent}, // OpenSSH 10.1: ~/.ssh/agent/s.…; also ControlPath sockets
	{base: "ssh-agent*", why: whyAgent},
	{base: "ssh_auth_sock*", why: whyAgent},
	{has: "/openssh_agent", why: whyAgent},
	{has: "/gcr/", base: "ssh", why: whyAgent},
	{has: "/.1password/", base: "*.sock", why: whyAgent},
	{has: "/.bitwarden", base: "*.sock", why: whyAgent},
	{base: ".bitwarden-ssh-agent.sock", why: whyAgent},
	{has: "/keyring/", why: whySecrets},
	{has: "/keyring-", why: whySecrets},
	{base: "kwallet*", why: whySecrets},
	{has: "/org.keepassxc.KeePassXC", why: whySecrets},
	{base: "kdeinit*", why: whySystemd},
	{base: "klauncher*", why: whySystemd},

	// Screen, keyboard and sound.
	{has: "/.X11-unix/", why: whyDisplay},
	{has: "/.ICE-unix/", why: whyDisplay},
	{base: "wayland-*", why: whyDisplay},
	{base: "gamescope-*", why: whyDisplay},
	{base: "sway-ipc.*", why: whyDisplay},
	{base: "*i3*ipc*", why: whyDisplay},
	{has: "/i3/", base: "ipc-socket.*", why: whyDisplay},
	{has: "/hypr/", why: whyDisplay},
	{base: "niri.*.sock", why: whyDisplay},
	{has: "/pulse/", base: "native", why: whySound},
	{has: "/pulse-", base: "native", why: whySound},
	{has: "/pulse/", base: "cli", why: whySound},
	{base: "pipewire-*", why: whySound},
	{base: "*ydotool*", why: whyDisplay},

	// Editors and terminals.
	{base: "vscode-*.sock", why: whyEditor}, // vscode-ipc-, vscode-git-, vscode-remote-…
	{base: "*-main.sock", why: whyEditor},   // VS Code's own, below XDG_RUNTIME_DIR
	{base: "cursor-*.sock", why: whyEditor},
	{base: "code-*.sock", why: whyEditor},
	{has: "/nvim.", why: whyEditor},
	{base: "nvim*", why: whyEditor},
	{has: "/emacs", why: whyEditor},
	{has: "/tmux-", why: whyTerminal},
	{base: "tmux*", why: whyTerminal},
	{has: "/screen/S-", why: whyTerminal},
	{has: "/screens/S-", why: whyTerminal},
	{has: "/.screen/", why: whyTerminal},
	{has: "/zellij/", why: whyTerminal},
	{has: "/zellij-", why: whyTerminal},
	{has: "/dtach/", why: whyTerminal},
	{base: "kitty*", why: whyTerminal},
	{base: "mykitty*", why: whyTerminal},
	{has: "/wezterm/", why: whyTerminal},
	{has: "/fish.", base: "fishd.socket", why: whyTerminal},

	// Windows.
	{under: "/run/WSL", why: whyWSL},
	{base: "*_interop", why: whyWSL},
	{has: "/wslg/", why: whyDisplay},

	// Other services that act for the user.
	{base: "*.watchman", why: whyEditor},
	{has: "/watchman/", base: "sock", why: whyEditor},
	{base: "tailscaled.sock", why: "it changes the host's network for whoever connects"},
	{base: "charon.*", why: "it changes the host's network for whoever connects"},
	{base: "cups.sock", why: "the print server runs filters for whoever connects"},
	{base: "pcscd.comm", why: whyAgent},
	{base: "rpcbind.sock", why: whySystemd},
	{base: "acpid.socket", why: whySystemd},
	{base: "mcpen*.sock", why: "it is mcpen's own"},
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
			if why, isHost := HostSocket(p.Path); isHost && s.override.v == "" && !r.bounds {
				r.add(w.at, w.key, "{ path = "+quote(p.Path)+", override = "+quote(Override)+" }",
					"cannot give the socket %s: %s", quote(p.Path), why)
				continue
			}
			out = append(out, Socket{Path: p.Path, Override: s.override.v, At: w.at})
		}
	}
	return out
}
