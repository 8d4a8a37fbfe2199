package trial

import (
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/intercept"
	"mcpen/sandbox/plan"
)

// Bounds on the record of one run. Events beyond them are counted.
const (
	maxHosts     = 512
	maxRequests  = 500
	maxBodies    = 8 << 20 // bytes of all requests' bodies
	maxFiles     = 4096
	maxProcesses = 512
	maxShown     = 4 << 10 // bytes of one value in a report
	maxDialled   = 2048
)

// Host is one place on the network that the program contacted.
type Host struct {
	Name        string    `json:"name,omitempty"` // "": the program used the address
	Address     string    `json:"address"`
	Port        uint16    `json:"port"`
	Proto       string    `json:"proto,omitempty"`
	TLS         bool      `json:"tls,omitempty"`
	Real        bool      `json:"real,omitempty"` // the connection went to the real host
	Connections int       `json:"connections"`
	Requests    int       `json:"requests"`
	Sent        int64     `json:"sent"`
	When        []string  `json:"when"`
	First       time.Time `json:"first"`
	Unseen      string    `json:"unseen,omitempty"` // why the content is unknown
	Begins      string    `json:"begins,omitempty"` // the first bytes of a protocol other than HTTP
	Use         string    `json:"use,omitempty"`    // "telemetry", "the tool was given its address", …
}

// Request is one HTTP request by the program.
type Request struct {
	Time   time.Time   `json:"time"`
	When   string      `json:"when"`
	Host   string      `json:"host"`
	Method string      `json:"method"`
	URL    string      `json:"url"`
	Header [][2]string `json:"headers"`
	Body   string      `json:"body,omitempty"` // its beginning
	Size   int64       `json:"size"`
}

// File is one file that the program opened.
type File struct {
	Path    string    `json:"path"`
	Owner   string    `json:"owner"`
	Write   bool      `json:"write,omitempty"`
	Dir     bool      `json:"dir,omitempty"`
	Missing bool      `json:"missing,omitempty"`
	Program string    `json:"program"`
	When    string    `json:"when"`
	Time    time.Time `json:"time"`
	Count   int       `json:"count"`
}

// Process is one program that was executed.
type Process struct {
	PID     int       `json:"pid"`
	Parent  int       `json:"parent"`
	By      string    `json:"by"`
	Path    string    `json:"path"`
	Args    []string  `json:"args"`
	When    string    `json:"when"`
	Time    time.Time `json:"time"`
	Missing bool      `json:"missing,omitempty"`
}

// Leak is a canary that was seen where it does not belong.
type Leak struct {
	Kind  string    `json:"kind"`
	File  string    `json:"file"`
	Given bool      `json:"given,omitempty"`
	Where string    `json:"where"` // "evil.example:443", "the result of tool x", "/tmp/a"
	Out   bool      `json:"out"`   // by the network
	How   string    `json:"how"`
	When  string    `json:"when"`
	Time  time.Time `json:"time"`
}

// record holds the observations of one run. Any goroutine may call its methods.
type record struct {
	desk      *Desk
	index     *Index
	ephemeral plan.Span               // ports
	name      func(netip.Addr) string // that led to an address of the internet that is not real

	mu        sync.Mutex
	phase     string
	ways      map[string]*pieces // by their destination
	rows      map[string]*labels // by the owner of names
	hosts     map[string]*Host
	names     map[string]string // names looked up: the phase of the first time
	requests  []Request
	bodies    int
	files     map[string]*File
	processes []Process
	leaks     []Leak
	dialled   map[string]Dial
	listens   map[string]string // address: when
	signals   []string
	refused   map[string]int // system calls
	pids      map[int]bool
	keeper    int            // the first process, to which orphans go
	server    int            // the program itself
	orphans   map[int]string // processes that survived their parent
	over      map[string]int
	refusals  []string // of a replay
}

// Dial is a connection without a host: to the loopback, or a datagram.
type Dial struct {
	To      string    `json:"to"`
	Kind    string    `json:"kind"` // "loopback", "udp", "metadata"
	When    string    `json:"when"`
	Program string    `json:"program"`
	Time    time.Time `json:"time"`
}

func newRecord(d *Desk) *record {
	return &record{desk: d, index: d.Index(), phase: AtStart, ways: map[string]*pieces{}, rows: map[string]*labels{}, hosts: map[string]*Host{}, names: map[string]string{}, files: map[string]*File{}, dialled: map[string]Dial{},
		listens: map[string]string{}, refused: map[string]int{}, pids: map[int]bool{}, over: map[string]int{}, orphans: map[int]string{}}
}

// The phases of a run. During a tool's call the phase is "in tool NAME".
const (
	AtStart = "at start"
	Listing = "while it listed its tools"
	Idling  = "while nobody asked for anything"
	Leaving = "when it was told to end"
	// InScript is followed by the name of a package.
	InScript = "in the install script of "
)

func (r *record) enter(phase string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.phase = phase
}

// leak records a canary.
func (r *record) leak(h Hit, where string, out bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.leaks {
		if l.File == h.Canary.File && l.Where == where && l.Kind == h.Canary.Kind {
			return
		}
	}
	if len(r.leaks) >= maxRequests {
		r.over["leaks"]++
		return
	}
	r.leaks = append(r.leaks, Leak{Kind: h.Canary.Kind, File: h.Canary.File, Given: h.Canary.Given, Where: where, Out: out, How: h.How, When: r.phase, Time: time.Now()})
}

// way returns the pieces that went one way.
func (r *record) way(where string) *pieces {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.ways[where]
	if p == nil && len(r.ways) < maxHosts {
		p = &pieces{}
		r.ways[where] = p
	}
	return p
}

// maxRow bounds the stored labels of one owner's names, in bytes.
const maxRow = 4 << 10

// row returns the labels of one owner's names in a row: all distinct labels so far,
// without short numbers, which only count.
func (r *record) row(name string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := owner(name)
	had := r.rows[o]
	if had == nil {
		if len(r.rows) >= maxHosts {
			return nil
		}
		had = &labels{seen: map[string]bool{}}
		r.rows[o] = had
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."+o), ".") {
		_, err := strconv.Atoi(label)
		if (err == nil && len(label) < 6) || had.seen[label] || len(had.text)+len(label) > maxRow {
			continue
		}
		had.seen[label] = true
		had.text = append(had.text, label...)
	}
	return slices.Clone(had.text)
}

// labels are the labels of one owner's names.
type labels struct {
	seen map[string]bool
	text []byte
}

// Asked records a name that was looked up.
func (r *record) Asked(name string) {
	where := "the name servers of " + owner(name)
	for _, h := range r.index.searchName(name, r.way(where)) {
		r.leak(h, where, true)
	}
	for _, h := range r.index.Find(r.row(name)) {
		h.How = "spread over names"
		r.leak(h, where, true)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.names[name]; !ok && len(r.names) < maxHosts {
		r.names[name] = r.phase
	} else if !ok {
		r.over["names"]++
	}
}

// owner is the end of a name. Its owner's name servers see the whole name.
func owner(name string) string {
	labels := strings.Split(name, ".")
	return visible(strings.Join(labels[max(0, len(labels)-2):], "."))
}

// short shortens a name for a line.
func short(name string) string {
	if len(name) > 60 {
		return name[:28] + "…" + name[len(name)-28:]
	}
	return name
}

// host returns the entry of a place. The caller must hold the lock.
func (r *record) host(name string, to netip.AddrPort) *Host {
	key := name + "|" + to.String()
	h := r.hosts[key]
	if h == nil {
		if len(r.hosts) >= maxHosts {
			r.over["hosts"]++
			return &Host{}
		}
		h = &Host{Name: name, Address: to.Addr().String(), Port: to.Port(), First: time.Now()}
		r.hosts[key] = h
	}
	if !slices.Contains(h.When, r.phase) && len(h.When) < 16 {
		h.When = append(h.When, r.phase)
	}
	return h
}

// Connected records a connection.
func (r *record) Connected(c intercept.Contact) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.host(c.Name, c.To).Connections++
}

// Ended records the properties of a finished connection.
func (r *record) Ended(c intercept.Contact) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.hosts[c.Name+"|"+c.To.String()]
	if h == nil {
		return
	}
	h.Sent += c.Sent
	h.TLS = h.TLS || c.TLS
	if c.Proto != "" {
		h.Proto = c.Proto
	}
	if c.Why != "" && h.Requests == 0 {
		h.Unseen = c.Why
	}
	if len(c.First) > 0 && h.Begins == "" {
		h.Begins = audit.Visible(string(c.First[:min(len(c.First), 120)]))
	}
}

// Requested records a request.
func (r *record) Requested(c intercept.Contact, q intercept.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.host(c.Name, c.To)
	h.Requests++
	h.TLS, h.Unseen = h.TLS || c.TLS, ""
	if c.Proto != "" {
		h.Proto = c.Proto
	}
	if len(r.requests) >= maxRequests {
		r.over["requests"]++
		return
	}
	body := q.Body
	if r.bodies+len(body) > maxBodies {
		body = nil
	}
	body = body[:min(len(body), maxShown)]
	r.bodies += len(body)
	one := Request{Time: time.Now(), When: r.phase, Host: place(*h), Method: visible(q.Method), URL: visible(q.URL), Body: visibleLines(string(body)), Size: q.Size}
	for _, name := range slices.Sorted(maps.Keys(q.Header)) {
		for _, v := range q.Header[name] {
			if len(one.Header) < 64 {
				one.Header = append(one.Header, [2]string{visible(name), visible(v)})
			}
		}
	}
	r.requests = append(r.requests, one)
}

// visibleLines is visible for texts of several lines.
func visibleLines(s string) string {
	if len(s) > maxShown {
		s = s[:maxShown] + "…"
	}
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = audit.Visible(lines[i])
	}
	return strings.Join(lines, "\n")
}

func visible(s string) string {
	if len(s) > maxShown {
		s = s[:maxShown] + "…"
	}
	return audit.Visible(s)
}

// place formats a host for a person.
func place(h Host) string {
	name := h.Name
	if name == "" {
		name = h.Address
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
	}
	return name + ":" + strconv.Itoa(int(h.Port))
}

// Outgoing returns a writer that searches outgoing bytes.
func (r *record) Outgoing(where string) io.WriteCloser {
	return r.index.watch(r.way(where), func(h Hit) { r.leak(h, where, true) })
}

// saw records one call of the program.
func (r *record) saw(s sandbox.Sight) {
	if len(s.Data) > 0 && s.Addr.Port() != 53 { // the resolver hears the questions
		where := r.called(s.Addr)
		for _, h := range r.index.search(s.Data, r.way(where), false) {
			r.leak(h, where, true)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.PID > 0 && len(r.pids) < maxFiles {
		r.pids[s.PID] = true
	}
	switch {
	case s.PID == 0 || s.Parent == 0:
	case r.keeper == 0:
		r.keeper, r.server = s.Parent, s.PID
	case s.Parent == r.keeper && s.PID != r.server && len(r.orphans) < 64:
		if _, ok := r.orphans[s.PID]; !ok {
			r.orphans[s.PID] = visible(s.Program) + ", " + r.phase
		}
	}
	switch s.Name {
	case "open", "openat", "creat":
		r.opened(s)
	case "execve", "execveat":
		r.executed(s)
	case "connect", "sendto", "sendmsg", "sendmmsg":
		r.connecting(s)
	case "bind":
		if s.TCP && len(r.listens) < maxHosts && s.Addr.Port() != 0 {
			if _, ok := r.listens[s.Addr.String()]; !ok {
				r.listens[s.Addr.String()] = r.phase
			}
		}
	case "kill":
		if s.Other != s.PID && len(r.signals) < 64 {
			r.signals = append(r.signals, s.Program+" to process "+strconv.Itoa(s.Other)+", "+r.phase)
		}
	}
}

func (r *record) opened(s sandbox.Sight) {
	if s.Path == "" {
		return
	}
	key := s.Path
	if s.Write {
		key = "w" + key
	}
	f := r.files[key]
	if f == nil {
		if len(r.files) >= maxFiles {
			r.over["files"]++
			return
		}
		f = &File{Path: visible(s.Path), Write: s.Write, Dir: s.Dir, Missing: s.Errno != 0 && !s.Write, Program: visible(s.Program), When: r.phase, Time: time.Now()}
		r.files[key] = f
	}
	f.Count++
}

// byClient is Process.By of the server's first program.
const byClient = "the client"

func (r *record) executed(s sandbox.Sight) {
	if len(r.processes) >= maxProcesses {
		r.over["processes"]++
		return
	}
	p := Process{PID: s.PID, Parent: s.Parent, By: visible(s.Program), Path: visible(s.Path), When: r.phase, Time: time.Now(), Missing: s.Errno != 0}
	if s.PID == r.server && !slices.ContainsFunc(r.processes, func(p Process) bool { return p.PID == s.PID }) {
		p.By = byClient
	}
	for _, a := range s.Args {
		p.Args = append(p.Args, visible(a))
	}
	r.processes = append(r.processes, p)
}

// called is an address by the name that led to it, with its port.
func (r *record) called(to netip.AddrPort) string {
	if r.name != nil {
		if name := r.name(to.Addr()); name != "" {
			return name + ":" + strconv.Itoa(int(to.Port()))
		}
	}
	return to.String()
}

func (r *record) connecting(s sandbox.Sight) {
	if !s.Addr.IsValid() || s.Addr.Port() == 53 {
		return
	}
	d := Dial{To: r.called(s.Addr), When: r.phase, Program: visible(s.Program), Time: time.Now()}
	switch {
	case s.Addr.Addr().IsLoopback() && s.TCP && r.own(s.Addr.Port()):
		return
	case s.Addr.Addr().IsLoopback() && s.TCP:
		d.Kind = "loopback"
	case s.TCP:
		return // the trial's internet records it
	case s.Addr.Addr().IsLoopback(), s.Addr.Port() == 0:
		return
	default:
		d.Kind = "udp"
	}
	if _, ok := r.dialled[d.Kind+d.To]; !ok && len(r.dialled) < maxDialled {
		r.dialled[d.Kind+d.To] = d
	}
}

// sentTo reports whether datagrams went to a name.
func (r *record) sentTo(name string) bool {
	for _, d := range r.dialled {
		if strings.HasPrefix(d.To, name+":") {
			return true
		}
	}
	return false
}

// own reports whether a port of the loopback is one that the kernel gives to programs,
// or one on which this program listens: the program then connects to itself.
func (r *record) own(port uint16) bool {
	if port >= r.ephemeral.First && port <= r.ephemeral.Last {
		return true
	}
	for at := range r.listens {
		if strings.HasSuffix(at, ":"+strconv.Itoa(int(port))) {
			return true
		}
	}
	return false
}

// event records an event of the sandbox.
func (r *record) event(e audit.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.Kind == audit.KindSyscall && len(r.refused) < 256:
		r.refused[e.Subject]++
	case e.Kind == audit.KindConnect && e.Verdict == audit.Allowed: // let through to the real host
		if to, err := netip.ParseAddrPort(e.Address); err == nil {
			name := e.Subject[:max(strings.LastIndexByte(e.Subject, ':'), 0)]
			h := r.host(name, to)
			h.Real = true
			h.Connections++
			h.Unseen = "it was let through to the real one, and TLS was not ended"
		}
	}
	return nil
}

// again resets the process ids before each start: they belong to one start.
func (r *record) again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keeper, r.server = 0, 0
	clear(r.pids)
}
