package launch

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mcpen/sandbox"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/wholefile"
)

// Sightings is the file of one server's definitions that were seen and that nobody
// decided about. mcpen writes it by itself: nothing in it is a person's decision.
type Sightings struct {
	PinFile                 // the files of the server
	Pins    definition.Pins `json:"pins"`
}

// Bounds on the definitions stored for one server.
const (
	maxSeenText = 6 << 20  // bytes of the texts: more than the guard of one run keeps
	maxSeenFile = 32 << 20 // of the file
)

// SeenFile is the path, below the state directory, of a server's seen definitions; ""
// if there is no such directory.
func SeenFile(state string, p PinFile) string {
	if state == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(p.File))
	return filepath.Join(state, "seen", p.Name+"-"+hex.EncodeToString(sum[:6]), "seen.json")
}

// shelve makes the folder for the definitions that a running launcher sees, which is
// then the only place it may write to, and copies a person's decisions there. It
// returns the PinFile with which the launcher reads them from then on.
func (p PinFile) shelve() (PinFile, error) {
	if p.Seen == "" {
		return p, nil
	}
	decided, err := p.decided()
	if err != nil {
		return p, nil // the start reports it
	}
	if err := os.MkdirAll(filepath.Dir(p.Seen), 0o700); err != nil {
		return p, fmt.Errorf("cannot keep what is seen: %w", err)
	}
	if err := p.copyDecided(decided); err != nil {
		return p, err
	}
	p.copied = p.copy()
	return p, nil
}

// copy is the path of that copy.
func (p PinFile) copy() string { return filepath.Join(filepath.Dir(p.Seen), "decided.pins") }

// copyDecided refreshes the copy, if its folder exists.
func (p PinFile) copyDecided(decided definition.Pins) error {
	if p.Seen == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(p.Seen)); err != nil {
		return nil // it never ran
	}
	if len(decided.Definitions) == 0 {
		if err := os.Remove(p.copy()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot forget the pins: %w", err)
		}
		return nil
	}
	return p.writeTo(p.copy(), decided)
}

// ReadSightings reads such a file.
func ReadSightings(file string) (Sightings, error) {
	var s Sightings
	data, err := readFile(file, maxSeenFile)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	return s, err
}

// seen reads the seen definitions.
func (p PinFile) seen() (definition.Pins, error) {
	if p.Seen == "" {
		return definition.Pins{}, nil
	}
	s, err := ReadSightings(p.Seen)
	if errors.Is(err, fs.ErrNotExist) {
		return definition.Pins{}, nil
	}
	if err == nil {
		err = s.Pins.Check()
	}
	if err != nil {
		return definition.Pins{}, &Error{Code: ExitRefused, Err: fmt.Errorf("cannot read what was seen of %s: %s: %w", p.Name, p.Seen, err), Hint: "mcpen review --forget " + p.Name}
	}
	return s.Pins.Undecided(), nil
}

// writeSeen writes the seen definitions.
func (p PinFile) writeSeen(seen definition.Pins) error {
	if p.Seen == "" {
		return nil
	}
	s := Sightings{PinFile: p, Pins: bounded(seen)}
	old := sameAs(p.Seen)
	size, err := s.encode(old)
	if same := old.close(); err != nil || same {
		return err
	}
	var b bytes.Buffer
	b.Grow(size)
	if _, err := s.encode(&b); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.Seen), 0o700); err != nil {
		return fmt.Errorf("cannot keep what was seen: %w", err)
	}
	return wholefile.Replace(p.Seen, b.Bytes(), 0o644)
}

// encode writes the file, one definition after another: encoding all at once would take
// many times their size in a launcher's memory. It returns the size.
func (s Sightings) encode(w io.Writer) (size int, err error) {
	head, err := json.Marshal(s.PinFile)
	if err != nil {
		return 0, fmt.Errorf("internal error: cannot encode what was seen: %w", err)
	}
	counted := &counter{w: w}
	enc := json.NewEncoder(counted)
	enc.SetEscapeHTML(false)
	between := string(head[:len(head)-1]) + `,"pins":{"definitions":[` + "\n"
	for _, d := range s.Pins.Definitions {
		if _, err = io.WriteString(counted, between); err == nil {
			err = enc.Encode(d)
		}
		if err != nil {
			return 0, fmt.Errorf("internal error: cannot encode what was seen: %w", err)
		}
		between = ","
	}
	if len(s.Pins.Definitions) > 0 {
		between = ""
	}
	over, err := json.Marshal(s.Pins.Over)
	if err == nil {
		_, err = io.WriteString(counted, between+`],"over":`+string(over)+"}}\n")
	}
	if err != nil {
		return 0, fmt.Errorf("internal error: cannot encode what was seen: %w", err)
	}
	return counted.n, nil
}

// counter counts the written bytes.
type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(b []byte) (int, error) {
	c.n += len(b)
	return c.w.Write(b)
}

// comparison compares the bytes written to it with a file.
type comparison struct {
	file   *os.File // nil: no readable file
	old    *bufio.Reader
	differ bool
	part   [4096]byte
}

// sameAs begins a comparison. The caller must close it.
func sameAs(file string) *comparison {
	f, err := os.Open(file)
	if err != nil {
		return &comparison{differ: true}
	}
	return &comparison{file: f, old: bufio.NewReader(f)}
}

func (c *comparison) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0 && !c.differ; {
		part := c.part[:min(len(rest), len(c.part))]
		if _, err := io.ReadFull(c.old, part); err != nil || !bytes.Equal(part, rest[:len(part)]) {
			c.differ = true
		}
		rest = rest[len(part):]
	}
	return len(b), nil
}

// close ends the comparison and reports whether the file equals the written bytes.
func (c *comparison) close() bool {
	if c.file == nil {
		return false
	}
	_, err := c.old.ReadByte()
	c.file.Close()
	return !c.differ && err == io.EOF
}

// bounded returns as many of the seen definitions as may be stored, those in use first.
// The others count as new next time.
func bounded(seen definition.Pins) definition.Pins {
	room := maxSeenText
	kept := definition.Pins{Over: seen.Over}
	for _, state := range []definition.State{definition.Seen, definition.Waiting} {
		for _, d := range seen.Definitions {
			if d.State != state {
				continue
			}
			if size := len(d.Name) + len(d.Description) + len(d.Rest) + len(d.Given); size <= room {
				room -= size
				kept.Definitions = append(kept.Definitions, d)
			}
		}
	}
	return kept
}

// remember stores the definitions that a run saw, with those that others saw and a
// person's decisions meanwhile. It returns all of them, and whether they differ from
// the run's.
func (p PinFile) remember(run definition.Pins) (all definition.Pins, differs bool, err error) {
	if p.Seen == "" {
		return run, false, errors.New("no HOME and no XDG_STATE_HOME")
	}
	err = locked(filepath.Dir(p.Seen), func() error {
		now, err := p.Read()
		if err != nil {
			return err
		}
		all = now.With(run.Undecided())
		return p.writeSeen(all.Undecided())
	})
	known := map[string]definition.State{}
	for _, d := range all.Definitions {
		known[string(d.Kind)+"\x00"+d.Name+"\x00"+d.SHA256] = d.State
	}
	for _, d := range run.Definitions {
		differs = differs || known[string(d.Kind)+"\x00"+d.Name+"\x00"+d.SHA256] != d.State
	}
	return all, differs, err
}

// keeper stores a run's definitions as they appear, and reloads its guard's pins after
// a review.
type keeper struct {
	pins  PinFile
	tell  *os.File
	saw   chan struct{} // something is new
	again <-chan os.Signal
	told  bool
}

// notice signals that something is new; it never waits.
func (k *keeper) notice() {
	select {
	case k.saw <- struct{}{}:
	default:
	}
}

// pause is the time between two writes: otherwise a server could make mcpen write to
// the disk all the time.
const pause = 200 * time.Millisecond

// run follows a box until it is done.
func (k *keeper) run(ctx context.Context, box *sandbox.Box) {
	for {
		select {
		case <-box.Done():
			return
		case <-k.saw:
			k.keep(box)
			select {
			case <-box.Done():
				return
			case <-time.After(pause):
			}
		case <-k.again:
			pins, err := k.pins.Read()
			if err == nil {
				err = box.Reload(pins)
			}
			if err != nil {
				warn(k.tell, "cannot take over the review: %v", err)
			}
		case <-ctx.Done():
			<-box.Done()
			return
		}
	}
}

// keep writes the definitions seen so far. It reports a failure once: the definitions
// count as first seen again at the next start.
func (k *keeper) keep(box *sandbox.Box) {
	all, differs, err := k.pins.remember(box.Pins())
	if err == nil && differs {
		err = box.Reload(all)
	}
	if err != nil && !k.told {
		k.told = true
		warn(k.tell, "what the server said is not kept: %v", err)
	}
}
