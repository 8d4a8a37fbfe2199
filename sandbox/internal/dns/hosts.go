package dns

import (
	"bufio"
	"errors"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// The host's own files (hosts(5), resolv.conf(5)).
const (
	hostsFile  = "/etc/hosts"
	resolvFile = "/etc/resolv.conf"
)

// Bounds on their content.
const (
	maxServers   = 3 // as in the C library
	maxSearch    = 6
	maxHostsFile = 4 << 20
)

// resolvConf is the relevant part of resolv.conf.
type resolvConf struct {
	servers []netip.AddrPort
	search  []string
	tcp     bool // options use-vc
}

// parseResolvConf parses resolv.conf. Without a server, the machine itself is the
// server.
func parseResolvConf(text string) resolvConf {
	var c resolvConf
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0][0] == '#' || f[0][0] == ';' {
			continue
		}
		switch f[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(f[1]); err == nil && len(c.servers) < maxServers {
				c.servers = append(c.servers, netip.AddrPortFrom(a.Unmap(), 53))
			}
		case "domain", "search": // the last one counts
			c.search = nil
			for _, d := range f[1:] {
				if d = Canonical(d); d != "" && len(c.search) < maxSearch {
					c.search = append(c.search, d)
				}
			}
		case "options":
			for _, o := range f[1:] {
				c.tcp = c.tcp || o == "use-vc"
			}
		}
	}
	if len(c.servers) == 0 {
		c.servers = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 53), netip.AddrPortFrom(netip.IPv6Loopback(), 53)}
	}
	return c
}

// parseHosts parses a hosts file: the addresses of each name, both families.
func parseHosts(text string) map[string][]netip.Addr {
	hosts := map[string][]netip.Addr{}
	s := bufio.NewScanner(strings.NewReader(text))
	for s.Scan() {
		line, _, _ := strings.Cut(s.Text(), "#")
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		a, err := netip.ParseAddr(f[0])
		if err != nil {
			continue
		}
		for _, name := range f[1:] {
			if name = Canonical(name); name != "" {
				hosts[name] = append(hosts[name], a.Unmap()) // the file's own notation for IPv4
			}
		}
	}
	return hosts
}

// cached is a file of the host, read again after a change. Any goroutine may call its
// method.
type cached[T any] struct {
	path  string
	parse func(string) T

	mu    sync.Mutex
	known bool
	size  int64
	time  time.Time
	is    T
}

// get returns the file's content, parsed. A missing file counts as empty; an unreadable
// one keeps its previous content.
func (c *cached[T]) get() T {
	c.mu.Lock()
	defer c.mu.Unlock()
	st, err := os.Stat(c.path)
	if errors.Is(err, os.ErrNotExist) {
		return c.parse("")
	}
	if err == nil && c.known && st.Size() == c.size && st.ModTime().Equal(c.time) {
		return c.is
	}
	var b []byte
	if err == nil && st.Size() <= maxHostsFile {
		b, err = os.ReadFile(c.path)
	}
	if err == nil {
		c.known, c.size, c.time, c.is = true, st.Size(), st.ModTime(), c.parse(string(b))
	} else if !c.known {
		return c.parse("")
	}
	return c.is
}
