// Package egress is the only way out of the sandbox: named hosts, over TCP.
//
// It has two sides. Inside, pid 1 calls Listen, which arranges the sandbox's
// network so that a connection to any address ends at a listener, one for each
// port of the plan, and a DNS question to any address at a socket on port 53.
// It opens these sockets and nothing else; their files go to the launcher.
// Outside, the launcher calls Serve, which answers the questions, decides on
// the connections and joins the allowed ones to connections of its own.
//
// What holds:
//
//   - A name that no rule names is answered NXDOMAIN and nothing is sent
//     anywhere: there is no DNS channel but for the labels of a wildcard, whose
//     number, length and rate are bounded.
//   - An address is dialled when an allowed name led to it, or when a rule
//     names it, and never when it is one of the host's own, a private network's
//     (unless the rule says so) or a cloud's metadata service, whatever the
//     name server said. The check is made again on the socket that is connected.
//   - Where a rule demands TLS, the first bytes must be a ClientHello with one
//     of the names that led to the address.
//   - UDP but for DNS fails at once.
//   - Where the plan has a proxy, an allowed name is looked up by that, and stands
//     for itself inside by an address of no network. The check of names is the
//     same, the check of the addresses they lead to is the proxy's.
//
// What does not: TLS is not opened, so an allowed server that relays to others
// (domain fronting by the HTTP Host field or by Encrypted Client Hello, whose
// keys the sandbox cannot get from DNS but may have been born with) is out of
// sight. A rule without TLS trusts the name and the port alone.
//
// A connect(2) inside ends as the one outside does: the opening packet is held at a
// gate until the connection outside is made, and refused if it cannot be. What the
// rules refuse is accepted and reset, and so is everything where a gate cannot be
// had (CAP_NET_RAW).
//
// # What Serve needs of the system
//
// While it serves, a process that is not allowed more can do it with:
//
//   - Files: those of Files are read (openat, fstat, stat), and nothing is
//     written. For a rule of the profile's sockets the host's socket is opened
//     (openat2 with O_PATH, and connect by way of /proc/self/fd).
//   - Sockets of its own: AF_INET and AF_INET6, SOCK_STREAM to the ports of the
//     rules, of the proxies and to 53, SOCK_DGRAM to 53; AF_NETLINK with NETLINK_ROUTE, bound to
//     the groups of addresses, opened anew for each question; AF_UNIX for a rule
//     of the profile's sockets. Landlock's TCP ports can be held to that list.
//     Listeners, the resolver's socket and raw sockets come as descriptors.
//   - System calls on these: accept4, bind (netlink), close, connect, epoll_create1,
//     epoll_ctl, epoll_pwait, epoll_wait, fcntl (F_DUPFD_CLOEXEC, F_SETFL), getpeername, getsockname, getsockopt (SO_DOMAIN,
//     SO_ERROR, SO_TYPE, TCP_INFO), pipe2, read, recvfrom, recvmsg, sendmsg, sendto, setsockopt
//     (SO_LINGER, SO_KEEPALIVE, SO_BROADCAST, TCP_KEEPIDLE, TCP_KEEPINTVL,
//     TCP_KEEPCNT, TCP_NODELAY, IPV6_V6ONLY), shutdown, socket, splice, write,
//     writev; prlimit64 once, in Serve.
//   - No capability, no process, no signal.
package egress

import "os"

// Kind says what waits behind a handle.
type Kind string

// The kinds of handles. The empty kind is an error.
const (
	KindTCP      Kind = "tcp"      // a listener on Port of every address but the sandbox's loopback
	KindResolver Kind = "resolver" // the datagram socket on port 53
	KindQueries  Kind = "queries"  // the listener on port 53, for answers that are too long for a datagram
	KindLocal    Kind = "local"    // a listener on Port of the sandbox's loopback, which leads to the host's
	KindUnix     Kind = "unix"     // a listener at Path inside, which leads to the host's socket at Path
	KindGate     Kind = "gate"     // a raw socket that sees openings, and by which they are refused
	KindSpare    Kind = "spare"    // a socket that the launcher has listen where a trial's program is about to connect
	KindBack     Kind = "back"     // the one by which the openings that the gate before it saw are sent again
)

// Handle is one socket that Listen opened. Its JSON carries all but the file,
// which travels beside it.
type Handle struct {
	Kind Kind   `json:"kind"`
	Port uint16 `json:"port,omitempty"`
	Path string `json:"path,omitempty"`
	// Shared says that the socket lives in the server's own network namespace,
	// because this machine cannot give the listeners one of their own. Then the
	// server cannot listen on the ports of the plan, and a connection to one of
	// them on its loopback is reset instead of refused.
	Shared bool `json:"shared,omitempty"`

	// Gated says that connections come here when a gate lets them.
	Gated bool `json:"gated,omitempty"`

	File *os.File `json:"-"` // whoever holds the handle closes it
}

// closeHandles closes every file of hs.
func closeHandles(hs []Handle) {
	for _, h := range hs {
		if h.File != nil {
			_ = h.File.Close() // a socket that was never used has nothing to lose
		}
	}
}

// Nameserver is the address to write into the sandbox's resolv.conf. Any
// address that is not the sandbox's own would do; this one is of a network
// that RFC 5737 keeps for documentation.
const Nameserver = "192.0.2.53"
