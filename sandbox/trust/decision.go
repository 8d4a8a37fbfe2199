package trust

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// Decision is the record of one decision: a person trusts a file as it is.
type Decision struct {
	Path   string    `json:"path"`
	Digest string    `json:"digest"`
	At     time.Time `json:"at"`
	Uses   []string  `json:"uses,omitempty"` // digests of trusted additions at the start
}

// maxUses bounds the uses of one profile. The oldest is forgotten.
const maxUses = 256

// Covers reports whether a decision is about this evidence, and about its use.
func (d Decision) Covers(e Evidence) (content, use bool) {
	content = d.Digest == e.digest
	return content, content && (e.Use.digest() == "" || slices.Contains(d.Uses, e.Use.digest()))
}

// File is the file of a decision: in the home of the password database, which no
// environment moves.
func File(at user.Dirs, file string) (string, error) {
	if at.Login.State == "" {
		return "", &launch.Error{Code: launch.ExitRefused, Err: errors.New("cannot keep what is trusted: this user has no home")}
	}
	return filepath.Join(at.Login.State, "trust", hex.EncodeToString(sum([]byte(file)))+".json"), nil
}

// Decided returns the earlier decision about a file; the zero value if there is none.
func Decided(at user.Dirs, file string) (Decision, error) {
	var t Decision
	name, err := File(at, file)
	if err != nil {
		return t, err
	}
	data, err := wholefile.Read(name, policy.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	if err != nil {
		return Decision{}, fmt.Errorf("cannot read what is trusted: %w", err)
	}
	if t.Path != file {
		return Decision{}, nil
	}
	return t, nil
}

// Keep keeps the decision for the evidence and its use. Uses that were trusted with
// the same content before stay.
func Keep(at user.Dirs, e Evidence) error {
	t, err := Decided(at, e.File)
	if err != nil {
		return err
	}
	if t.Digest != e.digest {
		t.Uses = nil
	}
	return keep(at, e, t.Uses)
}

// keep writes a decision, with the uses that hold in addition to the evidence's.
func keep(at user.Dirs, e Evidence, uses []string) error {
	name, err := File(at, e.File)
	if err != nil {
		return err
	}
	if u := e.Use.digest(); u != "" && !slices.Contains(uses, u) {
		uses = append(uses, u)
	}
	uses = uses[max(0, len(uses)-maxUses):]
	data, err := json.Marshal(Decision{Path: e.File, Digest: e.digest, At: time.Now().UTC(), Uses: uses})
	if err != nil {
		return fmt.Errorf("internal error: cannot encode a decision: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("cannot keep what is trusted: %w", err)
	}
	return wholefile.Replace(name, append(data, '\n'), 0o644)
}
