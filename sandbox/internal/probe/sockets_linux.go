package probe

import (
	"golang.org/x/sys/unix"
)

// unknownFamily are the answers of a kernel that lacks a family, a type or a protocol.
const unknownFamily = "EAFNOSUPPORT|ESOCKTNOSUPPORT|EPROTONOSUPPORT"

// sockets are the families, protocols and types that a server does not need, each also
// with a bit set above the 32 that the kernel reads.
func sockets() []Probe {
	var probes []Probe
	for _, f := range []struct {
		name             string
		family, typ, pro uintptr
		loss             string
		by               Layers
		twin             Twin
	}{
		{"alg", unix.AF_ALG, unix.SOCK_SEQPACKET, 0, "the kernel's crypto code (CVE-2026-31431)", Seccomp, TwinPlain},
		{"vsock", unix.AF_VSOCK, unix.SOCK_STREAM, 0, "the host of a virtual machine, which no network namespace hides", Seccomp, TwinPlain},
		{"packet", unix.AF_PACKET, unix.SOCK_RAW, 0, "all traffic", Namespaces | Seccomp, TwinUserns},
		{"packet-dgram", unix.AF_PACKET, unix.SOCK_DGRAM, 0, "all traffic", Namespaces | Seccomp, TwinUserns},
		{"xdp", unix.AF_XDP, unix.SOCK_RAW, 0, "all traffic", Namespaces | Seccomp, TwinUserns},
		{"rds", unix.AF_RDS, unix.SOCK_SEQPACKET, 0, "kernel code with a long list of holes", Seccomp, TwinPlain},
		{"tipc", unix.AF_TIPC, unix.SOCK_RDM, 0, "kernel code with a long list of holes", Seccomp, TwinPlain},
		{"smc", unix.AF_SMC, unix.SOCK_STREAM, 0, "connections that skip the TCP hooks", Seccomp, TwinPlain},
		{"can", unix.AF_CAN, unix.SOCK_DGRAM, 2, "a vehicle's bus", Seccomp, TwinPlain},
		{"bluetooth", unix.AF_BLUETOOTH, unix.SOCK_SEQPACKET, 0, "whatever is near", Seccomp, TwinPlain},
		{"key", unix.AF_KEY, unix.SOCK_RAW, 2, "IPsec", Namespaces | Seccomp, TwinUserns},
		{"rxrpc", unix.AF_RXRPC, unix.SOCK_DGRAM, unix.AF_INET, "kernel code with a long list of holes (CVE-2026-43500)", Seccomp, TwinPlain},
		{"nfc", unix.AF_NFC, unix.SOCK_SEQPACKET, 0, "whatever is near", Seccomp, TwinPlain},
		{"qipcrtr", unix.AF_QIPCRTR, unix.SOCK_DGRAM, 0, "a modem's processor", Seccomp, TwinPlain},
		{"kcm", unix.AF_KCM, unix.SOCK_DGRAM, 0, "kernel code with a long list of holes", Seccomp, TwinPlain},
		{"mctp", unix.AF_MCTP, unix.SOCK_DGRAM, 0, "the machine's management controller", Seccomp, TwinPlain},
		{"x25", unix.AF_X25, unix.SOCK_SEQPACKET, 0, "kernel code with a long list of holes", Seccomp, TwinPlain},
		{"ppp", unix.AF_PPPOX, unix.SOCK_DGRAM, 0, "kernel code with a long list of holes", Seccomp, TwinPlain},
		{"llc", unix.AF_LLC, unix.SOCK_DGRAM, 0, "kernel code with a long list of holes", Namespaces | Seccomp, TwinUserns},
		{"phonet", unix.AF_PHONET, unix.SOCK_DGRAM, 0, "kernel code with a long list of holes", Namespaces | Seccomp, TwinUserns},

		{"netlink-netfilter", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER, "nf_tables, a long list of holes", Seccomp, TwinPlain},
		{"netlink-xfrm", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_XFRM, "IPsec (CVE-2026-43284)", Seccomp, TwinPlain},
		{"netlink-generic", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_GENERIC, "every subsystem with a netlink family", Seccomp, TwinPlain},
		{"netlink-audit", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT, "the audit log", Seccomp, TwinPlain},
		{"netlink-uevent", unix.AF_NETLINK, unix.SOCK_DGRAM, unix.NETLINK_KOBJECT_UEVENT, "news of devices, and forged ones", Seccomp, TwinPlain},
		{"netlink-diag", unix.AF_NETLINK, unix.SOCK_DGRAM, unix.NETLINK_SOCK_DIAG, "every socket in the namespace", Seccomp, TwinPlain},
		{"netlink-connector", unix.AF_NETLINK, unix.SOCK_DGRAM, unix.NETLINK_CONNECTOR, "news of every process", Seccomp, TwinPlain},
		{"netlink-crypto", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_CRYPTO, "the kernel's crypto code", Seccomp, TwinPlain},

		{"raw-icmp", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP, "forged packets", Namespaces | Seccomp, TwinUserns},
		{"raw-tcp", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP, "forged packets, past every rule on connections", Namespaces | Seccomp, TwinUserns},
		{"raw-ip6", unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_RAW, "forged packets", Namespaces | Seccomp, TwinUserns},
		{"ping", unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP, "a way out by echo requests", Seccomp, TwinPlain},
		{"mptcp", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP, "connections that Landlock does not see", Seccomp, TwinPlain},
		{"mptcp6", unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_MPTCP, "connections that Landlock does not see", Seccomp, TwinPlain},
		{"sctp", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP, "connections that Landlock does not see", Seccomp, TwinPlain},
		{"udplite", unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE, "kernel code that nobody uses", Seccomp, TwinPlain},
		{"dccp", unix.AF_INET, unix.SOCK_DCCP, unix.IPPROTO_DCCP, "kernel code with a long list of holes", Seccomp, TwinPlain},
	} {
		absent := unknownFamily
		if f.name == "ping" {
			absent += "|EACCES" // net.ipv4.ping_group_range
		}
		if f.name == "phonet" {
			absent += "|EPERM" // it demands a capability in the first user namespace
		}
		row := func(id, how string, family, typ, pro uintptr) Probe {
			return Probe{ID: id, Loss: f.loss, How: how, Want: socketErrno(f.family, f.typ, f.pro), By: f.by, Twin: f.twin, Absent: absent,
				Run: func(World) Result {
					return outcome(closed(sys(new(arena), unix.SYS_SOCKET, family, typ|unix.SOCK_CLOEXEC, pro)), "")
				}}
		}
		const bit32 = 1 << 32
		probes = append(probes,
			row("socket-"+f.name, "socket(2)", f.family, f.typ, f.pro),
			row("socket-"+f.name+"-bit32", "socket(2) with bit 32 of every argument set", bit32|f.family, bit32|f.typ, bit32|f.pro))
	}
	return append(probes,
		Probe{ID: "socketpair-tipc", Loss: "kernel code that a server has no use for", How: "socketpair(2) of a family that is not unix",
			Want: "ENOSYS", By: Seccomp, Twin: TwinPlain, Absent: "ENOTSUP|" + unknownFamily,
			Run: func(World) Result {
				a := new(arena)
				pair, _ := a.bytes(8)
				_, err := sys(a, unix.SYS_SOCKETPAIR, unix.AF_TIPC, unix.SOCK_STREAM, 0, pair)
				return outcome(err, "")
			}})
}

// socketErrno is the filter's errno for a refused socket: that of a kernel without the
// feature, so that programs continue.
func socketErrno(family, typ, protocol uintptr) string {
	switch {
	case family == unix.AF_INET || family == unix.AF_INET6:
		switch {
		case typ == unix.SOCK_RAW:
			return "EPERM"
		case protocol == unix.IPPROTO_MPTCP:
			return "EPROTONOSUPPORT"
		}
		return "ENOSYS"
	case family == unix.AF_NETLINK:
		return "ENOSYS"
	}
	return "EAFNOSUPPORT"
}
