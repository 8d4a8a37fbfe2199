package policy

import "testing"

// If a row is missing, the server can start programs outside.
func TestHostSocketKnowsTheHost(t *testing.T) {
	for _, p := range []string{
		"/var/run/docker.sock", "/run/docker.sock", "/run/user/1000/docker.sock", "/home/u/.docker/run/docker.sock",
		"/home/u/.docker/desktop/docker.sock", "/run/user/1000/podman/podman.sock", "/run/podman/podman.sock",
		"/run/containerd/containerd.sock", "/run/containerd/containerd.sock.ttrpc", "/run/k3s/containerd/containerd.sock",
		"/run/buildkit/buildkitd.sock", "/run/crio/crio.sock", "/home/u/.colima/default/docker.sock",
		"/var/snap/lxd/common/lxd/unix.socket", "/var/lib/incus/unix.socket", "/run/snapd.socket", "/run/libvirt/libvirt-sock",
		"/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket", "/run/user/1000/bus", "/tmp/dbus-Abc123",
		"/run/user/1000/at-spi/bus_0", "/run/systemd/private", "/run/systemd/notify", "/run/user/1000/systemd/private",
		"/run/user/1000/systemd/notify", "/run/systemd/journal/socket", "/run/systemd/resolve/io.systemd.Resolve",
		"/run/nscd/socket", "/var/run/nscd/socket", "/tmp/ssh-XXXXabcd/agent.4711", "/run/user/1000/ssh-agent.socket",
		"/run/user/1000/openssh_agent", "/home/u/.ssh/agent/s.abc", "/home/u/.ssh/cm-git@github.com:22", "/run/user/1000/gcr/ssh",
		"/run/user/1000/keyring/ssh", "/run/user/1000/keyring/control", "/home/u/.1password/agent.sock",
		"/run/user/1000/gnupg/S.gpg-agent", "/run/user/1000/gnupg/S.gpg-agent.ssh", "/home/u/.gnupg/S.gpg-agent.extra",
		"/run/user/1000/gnupg/d.abc/S.dirmngr", "/tmp/.X11-unix/X0", "/tmp/.ICE-unix/1234", "/run/user/1000/wayland-0",
		"/run/user/1000/sway-ipc.1000.42.sock", "/run/user/1000/pulse/native", "/tmp/pulse-abc/native",
		"/run/user/1000/pipewire-0", "/run/user/1000/pipewire-0-manager", "/run/user/1000/vscode-ipc-6f1e.sock",
		"/run/user/1000/vscode-git-0123.sock", "/run/user/1000/vscode-1a2b-1.9-main.sock", "/tmp/vscode-remote-containers-ipc-0.sock",
		"/run/user/1000/nvim.42.0", "/run/user/1000/emacs/server", "/tmp/tmux-1000/default", "/run/screen/S-u/1.pts",
		"/run/user/1000/zellij/0.40/s", "/run/WSL/8_interop", "/mnt/wslg/runtime-dir/wayland-0", "/run/tailscale/tailscaled.sock",
		"/tmp/ssh-abc/other", "/srv/agent.sock", "/opt/crio.sock", "/srv/libvirt-sock-ro",
		"/run/user/1000/../1000/bus", "/run//docker.sock", "/tmp/./.X11-unix/X1",
	} {
		if why, isHost := HostSocket(p); !isHost || why == "" {
			t.Errorf("HostSocket(%q) = %q, %v: the host's own socket would be given away", p, why, isHost)
		}
	}
}

// The twin: a server's database is not the host.
func TestHostSocketLeavesServicesAlone(t *testing.T) {
	for _, p := range []string{
		"/run/postgresql/.s.PGSQL.5432", "/var/run/postgresql/.s.PGSQL.5432", "/tmp/.s.PGSQL.5432", "/run/mysqld/mysqld.sock",
		"/var/run/redis/redis-server.sock", "/home/u/work/api.sock", "/home/u/work/dev.sock", "/tmp/memcached.sock",
		"/srv/app/run/gunicorn.sock", "/home/u/project/bus", "/home/u/work/docker-notes/app.sock", "/run/php/php-fpm.sock",
		"/home/u/work/native", "/home/u/work/server",
	} {
		if why, isHost := HostSocket(p); isHost {
			t.Errorf("HostSocket(%q) says it is the host (%s): a service could not be used without an override", p, why)
		}
	}
}

// Every row must be able to match: a row without a condition would match every socket,
// and a bad glob would match none.
func TestHostSocketRows(t *testing.T) {
	for _, s := range hostSockets {
		if s.under == "" && s.has == "" && s.base == "" {
			t.Errorf("a row without a condition: %+v", s)
		}
		if s.why == "" {
			t.Errorf("a row without a reason: %+v", s)
		}
		if (hostSocket{base: s.base, has: "\x00"}).matches("/x") {
			t.Errorf("%+v matches what it cannot hold", s)
		}
	}
}
