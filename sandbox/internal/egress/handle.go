// Package egress is the only way out of the sandbox: named hosts, over TCP.
//
// It has two sides. Inside, pid 1 calls Listen, which arranges the sandbox's network so
// that a connection to any address ends at a listener, one for each port of the plan,
// and a DNS question to any address at a socket on port 53. Listen opens these sockets
// and nothing else; their files go to the launcher. Outside, the launcher calls Serve,
// which answers the questions, decides on the connections and joins the allowed ones to
// connections of its own.
//
// What it guarantees:
//
//   - A name that no rule names gets NXDOMAIN, and no packet leaves: the only DNS
//     channel is the labels of a wildcard, whose number, length and rate are bounded.
//   - An address is dialled only if an allowed name resolved to it, or if a rule names
//     it. It is never dialled if it is one of the host's own, a private network's
//     (unless the rule says so) or a cloud's metadata service, whatever the name server
//     said. The check is repeated on the socket that connects.
//   - If a rule demands TLS, the first bytes must be a ClientHello with one of the
//     names that resolved to the address.
//   - UDP except for DNS fails at once.
//   - If the plan has a proxy, the proxy resolves an allowed name. Inside, an address
//     of no network stands for the name. The check of names is the same; the check of
//     their addresses is up to the proxy.
//
// What it does not guarantee: TLS is not opened. So an allowed server that relays to
// others is invisible (domain fronting by the HTTP Host field, or by Encrypted Client
// Hello, whose keys the sandbox cannot get from DNS but may contain from the start). A
// rule without TLS trusts the name and the port alone.
//
// A connect(2) inside ends as the one outside does: a gate holds the opening packet
// until the connection outside is made, and refuses it if it cannot be made. A
// connection that the rules refuse is accepted and reset. Without gates (CAP_NET_RAW),
// so is every failed connection.
//
// # Requirements of Serve
//
// While it serves, a process with only these rights suffices:
//
//   - Files: it reads those of Files (openat, fstat, stat) and writes none. For a rule
//     of the profile's sockets it opens the host's socket (openat2 with O_PATH, and
//     connect through /proc/self/fd).
//   - Sockets of its own: AF_INET and AF_INET6, SOCK_STREAM to the ports of the rules,
//     of the proxies and to 53, SOCK_DGRAM to 53; AF_NETLINK with NETLINK_ROUTE, bound
//     to the groups of addresses, opened anew for each question; AF_UNIX for a rule of
//     the profile's sockets. Landlock's TCP ports can be restricted to that list.
//     Listeners, the resolver's socket and raw sockets come as descriptors.
//   - System calls on these: accept4, bind (netlink), close, connect, epoll_create1,
//     epoll_ctl, epoll_pwait, epoll_wait, fcntl (F_DUPFD_CLOEXEC, F_SETFL),
//     getpeername, getsockname, getsockopt (SO_DOMAIN, SO_ERROR, SO_TYPE, TCP_INFO),
//     pipe2, read, recvfrom, recvmsg, sendmsg, sendto, setsockopt (SO_LINGER,
//     SO_KEEPALIVE, SO_BROADCAST, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT,
//     TCP_NODELAY, IPV6_V6ONLY), shutdown, socket, splice, write, writev; prlimit64
//     once, in Serve.
//   - No capability, no process, no signal.
package egress

import "os"

// Kind is the kind of socket behind a handle.
type Kind string

// The kinds of handles. The empty kind is an error.
const (
	KindTCP      Kind = "tcp"      // a listener on Port of every address except the sandbox's loopback
	KindResolver Kind = "resolver" // the datagram socket on port 53
	KindQueries  Kind = "queries"  // the listener on port 53, for answers too long for a datagram
	KindLocal    Kind = "local"    // a listener on Port of the sandbox's loopback, which leads to the host's loopback
	KindUnix     Kind = "unix"     // a listener at Path inside, which leads to the host's socket at Path
	KindGate     Kind = "gate"     // a raw socket that receives opening packets, and refuses them
	KindSpare    Kind = "spare"    // an unused socket; the launcher makes it listen when a trial's program is about to connect
	KindBack     Kind = "back"     // the socket that resends the opening packets of the gate before it
)

// Handle is one socket that Listen opened. Its JSON contains everything but the file,
// which is sent beside it.
type Handle struct {
	Kind Kind   `json:"kind"`
	Port uint16 `json:"port,omitempty"`
	Path string `json:"path,omitempty"`
	// Shared reports that the socket lives in the server's own network namespace,
	// because this machine cannot give the listeners one of their own. Then the server
	// cannot listen on the plan's ports, and a connection to one of them on its
	// loopback is reset instead of refused.
	Shared bool `json:"shared,omitempty"`

	// Gated reports that a gate lets connections through to this socket.
	Gated bool `json:"gated,omitempty"`

	File *os.File `json:"-"` // the holder of the handle must close it
}

// closeHandles closes every file of hs.
func closeHandles(hs []Handle) {
	for _, h := range hs {
		if h.File != nil {
			_ = h.File.Close() // an unused socket has nothing to lose
		}
	}
}

// Nameserver is the address for the sandbox's resolv.conf. Any address that is not the
// sandbox's own would do; this one belongs to a network that RFC 5737 reserves for
// documentation.
const Nameserver = "192.0.2.53"
