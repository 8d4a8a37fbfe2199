// Package container turns a plan into a libcontainer configuration, the skeleton of
// directories for its mounts, and the control groups for its limits.
package container

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/opencontainers/cgroups"
	devices "github.com/opencontainers/cgroups/devices/config"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// setup are the capabilities of the stages that set up the sandbox, inside its own user
// namespace. The server gets none.
var setup = []string{
	"CAP_SETFCAP",          // to map id 0 into the nested user namespace (Linux 5.12)
	"CAP_NET_ADMIN",        // routes
	"CAP_NET_BIND_SERVICE", // listeners on 53, 80, 443
}

// Config returns the configuration of one sandbox. It is pure. rootfs is the skeleton's
// directory and id names the sandbox.
func Config(p plan.Plan, rootfs, id string) (*configs.Config, error) {
	mounts, err := mounts(p.Root, rootfs)
	if err != nil {
		return nil, err
	}
	group, err := cgroup(p, id)
	if err != nil {
		return nil, err
	}
	if inGroups(p) {
		group = &cgroups.Cgroup{Name: id, Rootless: true, Resources: &cgroups.Resources{}} // none
	}
	masked, readonly := plan.ProcMasked, plan.ProcReadonly
	if p.Process.UID == 0 {
		masked, readonly = slices.Concat(masked, plan.ProcMaskedRoot), slices.Concat(readonly, plan.ProcReadonlyRoot)
	}
	caps := setup
	if len(p.Network.Hosts) > 0 || p.Network.Every {
		// The listeners wait in a network namespace of their own, behind a gate of raw
		// sockets. pid 1 makes it before it drops all privileges.
		caps = append(slices.Clone(setup), "CAP_SYS_ADMIN", "CAP_NET_RAW")
	}
	return &configs.Config{
		Rootfs:          rootfs,
		Readonlyfs:      true,
		RootlessEUID:    !p.Process.Admin, // libcontainer's word for: cannot mount for the container from outside
		RootlessCgroups: p.Process.UID != 0 || unlimited(group.Resources),
		NoNewPrivileges: true,
		RootPropagation: unix.MS_PRIVATE | unix.MS_REC,
		Hostname:        hostname(p),
		Mounts:          mounts,
		Capabilities:    &configs.Capabilities{Bounding: append([]string{"CAP_SETPCAP"}, caps...), Permitted: caps, Effective: caps},
		Namespaces: configs.Namespaces{
			{Type: configs.NEWUSER}, {Type: configs.NEWNS}, {Type: configs.NEWPID}, {Type: configs.NEWNET},
			{Type: configs.NEWIPC}, {Type: configs.NEWUTS}, {Type: configs.NEWCGROUP},
		},
		// libcontainer needs an id 0 inside; the nested namespace maps it back.
		UIDMappings: []configs.IDMap{{ContainerID: 0, HostID: int64(p.Process.UID), Size: 1}},
		GIDMappings: []configs.IDMap{{ContainerID: 0, HostID: int64(p.Process.GID), Size: 1}},
		Cgroups:     group,
		Networks:    []*configs.Network{{Type: "loopback"}},
		Sysctl: map[string]string{
			"user.max_user_namespaces":     "1", // the nested namespace uses it up
			"net.ipv4.ip_local_port_range": fmt.Sprintf("%d\t%d", p.Network.Ephemeral.First, p.Network.Ephemeral.Last),
			// On a lossless wire, no segment of an old connection can still be under
			// way. A port in TIME-WAIT (RFC 9293, section 3.6.1) would be unavailable
			// for a minute to the next connection to the same host.
			"net.ipv4.tcp_max_tw_buckets": "0",
		},
		MaskPaths:     masked,
		ReadonlyPaths: readonly,
	}, nil
}

// hostname is the sandbox's host name.
func hostname(p plan.Plan) string {
	if p.Desk != nil {
		return p.Desk.Hostname
	}
	return plan.Hostname
}

// mounts returns the steps of the root that are mounts. The skeleton or pid 1 makes the
// others.
func mounts(root []plan.Mount, rootfs string) ([]*configs.Mount, error) {
	var out []*configs.Mount
	for i, m := range root {
		source, target := alias(rootfs, i, m)
		var c *configs.Mount
		switch m.Kind {
		case plan.MountBind:
			c = bind(source, target, m)
			if m.Nameless {
				c = nameless(i, target)
			}
		case plan.MountDevice:
			c = &configs.Mount{Source: source, Destination: target, Device: "bind",
				Flags: unix.MS_BIND | unix.MS_NOSUID | unix.MS_NOEXEC}
		case plan.MountTmpfs:
			c = tmpfs(target, m)
		case plan.MountProc:
			c = &configs.Mount{Source: "proc", Destination: target, Device: "proc",
				Flags: unix.MS_NOEXEC | unix.MS_NOSUID | unix.MS_NODEV}
		case plan.MountPTY:
			c = &configs.Mount{Source: "devpts", Destination: target, Device: "devpts",
				Flags: unix.MS_NOEXEC | unix.MS_NOSUID, Data: "newinstance,ptmxmode=0666,mode=0620,max=" + strconv.Itoa(maxPTY)}
		case plan.MountMask:
			if m.Dir {
				c = tmpfs(target, plan.Mount{Bytes: 4096, Inodes: 2, Mode: 0o555})
			} else {
				c = bind(emptyFile(rootfs), target, m)
			}
		case plan.MountFile, plan.MountCopy, plan.MountPipe, plan.MountSymlink, plan.MountDir:
			continue
		default:
			return nil, fmt.Errorf("internal error: no mount of kind %q", m.Kind)
		}
		out = append(out, c)
	}
	return out, nil
}

// maxPTY bounds the terminals of one server: the kernel's own bound applies to the
// whole machine (kernel.pty.max).
const maxPTY = 64

// bind applies its flags recursively: a read-only remount leaves the mounts below it
// writable, the attributes of mount_setattr(2) do not.
func bind(source, target string, m plan.Mount) *configs.Mount {
	attr := uint64(unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV)
	if !m.Writable {
		attr |= unix.MOUNT_ATTR_RDONLY
	}
	if !m.Exec {
		attr |= unix.MOUNT_ATTR_NOEXEC
	}
	return &configs.Mount{Source: source, Destination: target, Device: "bind",
		Flags: unix.MS_BIND | unix.MS_REC, RecAttr: &unix.MountAttr{Attr_set: attr}}
}

// nameless shows a directory as an overlay of it and an empty one. The options that
// mountinfo shows are those that are given: links beside the skeleton, which is the
// working directory of libcontainer's child (Documentation/filesystems/overlayfs.rst).
func nameless(i int, target string) *configs.Mount {
	return &configs.Mount{Source: "overlay", Destination: target, Device: "overlay",
		Flags: unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV, Data: fmt.Sprintf("lowerdir=../%s:../%s", sourceName(i), emptyName)}
}

// tmpfs is bounded in bytes and in inodes: a quarter of a million empty files fit into
// 64 MiB.
func tmpfs(target string, m plan.Mount) *configs.Mount {
	flags := unix.MS_NOSUID | unix.MS_NODEV
	if !m.Exec {
		flags |= unix.MS_NOEXEC
	}
	if !m.Writable {
		flags |= unix.MS_RDONLY
	}
	data := "mode=" + strconv.FormatUint(uint64(m.Mode), 8)
	if m.Bytes > 0 {
		data += ",size=" + strconv.FormatInt(m.Bytes, 10)
	}
	if m.Inodes > 0 {
		data += ",nr_inodes=" + strconv.FormatInt(m.Inodes, 10)
	}
	return &configs.Mount{Source: "tmpfs", Destination: target, Device: "tmpfs", Flags: flags, Data: data}
}

// cgroup configures the limits that only a cgroup can hold.
func cgroup(p plan.Plan, id string) (*cgroups.Cgroup, error) {
	g := &cgroups.Cgroup{
		Name:     id, // no Path: libcontainer then makes no rootless group without limits
		Rootless: p.Process.UID != 0,
		Resources: &cgroups.Resources{
			// For root on cgroup v1 an empty list would deny even /dev/null. The root
			// has six nodes that lead to no hardware. Neither the root nor any other
			// mount allows other nodes to be opened.
			Devices: []*devices.Rule{
				{Type: devices.CharDevice, Major: 1, Minor: devices.Wildcard, Permissions: "rw", Allow: true},
				{Type: devices.CharDevice, Major: 5, Minor: 0, Permissions: "rw", Allow: true},
			},
		},
	}
	if slices.ContainsFunc(p.Root, func(m plan.Mount) bool { return m.Kind == plan.MountPTY }) {
		g.Resources.Devices = append(g.Resources.Devices,
			&devices.Rule{Type: devices.CharDevice, Major: 5, Minor: 2, Permissions: "rw", Allow: true},
			&devices.Rule{Type: devices.CharDevice, Major: 136, Minor: devices.Wildcard, Permissions: "rw", Allow: true})
	}
	for _, l := range p.Limits {
		switch l.How {
		case plan.HowCgroup1, plan.HowCgroup2, plan.HowSystemd:
		default:
			continue
		}
		g.Systemd = l.How == plan.HowSystemd
		switch l.Name {
		case plan.LimitMemory:
			g.Resources.Memory = l.Value
			g.Resources.MemorySwap = l.Value // on v1 this is memory and swap together
		case plan.LimitProcesses:
			n := l.Value
			g.Resources.PidsLimit = &n
		case plan.LimitCPU:
			g.Resources.CpuPeriod = 100_000
			g.Resources.CpuQuota = l.Value * 100
		default:
			return nil, fmt.Errorf("internal error: no cgroup holds %s", l.Name)
		}
	}
	// Without a limit to hold, no group is needed: root of a user's namespace cannot
	// make one.
	g.Rootless = g.Rootless || unlimited(g.Resources)
	if p.CgroupParent != "" {
		g.Name, g.Path = "", filepath.Join(p.CgroupParent, "mcpen-"+id)
	}
	if g.Systemd {
		g.ScopePrefix, g.Parent = "mcpen", ""
	}
	if g.Systemd && g.Resources.Memory != 0 {
		// Otherwise the manager ends the whole scope once the kernel has killed one
		// process of it, often before pid 1 can report how the server ended
		// (OOMPolicy=, systemd.scope(5), since version 253).
		g.Resources.Unified = map[string]string{"memory.oom.group": "0"}
	}
	return g, nil
}

func unlimited(r *cgroups.Resources) bool {
	return r.Memory == 0 && r.PidsLimit == nil && r.CpuQuota == 0
}
