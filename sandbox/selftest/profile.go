package selftest

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

// OfProfile attacks a sandbox of the profile name; "" is the closed default. ch says how it
// is filled in. Canary must be set in the environment.
func OfProfile(ctx context.Context, c *server.Caller, at user.Dirs, name, folder string, only []string, ch server.Words) (r Report, err error) {
	extends, err := attacked(c, at, name)
	if err != nil {
		return r, err
	}
	if folder == "" {
		folder = at.Home
	}
	dir, err := os.MkdirTemp(folder, ".pen-")
	if err != nil {
		return r, fmt.Errorf("cannot make a folder for the attacks: %w", err)
	}
	defer os.RemoveAll(dir)
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return r, err
	}
	binary, err := os.Executable()
	if err != nil {
		return r, fmt.Errorf("cannot tell where this binary is: %w", err)
	}
	ch.Profile, ch.Look = filepath.Join(dir, "profile.toml"), true
	t := &tested{caller: c, at: at, choice: ch, name: "selftest-" + strings.ToLower(rand.Text()), extends: extends}
	defer t.close()
	r, err = assess(ctx, target{Dir: dir, Binary: binary, Only: only, State: at.State, Plan: t.plan})
	r.Profile, r.Kernel = name, kernelRelease()
	return r, err
}

// attacked returns the profile that word names, as a value of extends. "" is the closed
// default.
func attacked(c *server.Caller, at user.Dirs, word string) (string, error) {
	if word == "" {
		return "", nil
	}
	n, err := c.Named(at, word)
	if err != nil {
		return "", err
	}
	switch {
	case n.ByFile && n.Profile != "":
		return filepath.Abs(n.Profile)
	case n.Profile != "":
		return n.Profile, nil
	}
	if _, _, err = catalog.Loader(at)(word, ""); err == nil {
		err = fs.ErrNotExist
	}
	return "", catalog.NoProfile(at, word, err)
}

// tested prepares the profile under attack, with the rights that the attacks need.
type tested struct {
	caller  *server.Caller
	at      user.Dirs
	choice  server.Words
	name    string // of no other server
	extends string
	state   string // the server's own directory, once it was made
}

func (t *tested) close() {
	if t.state != "" {
		os.RemoveAll(t.state)
	}
}

// plan is the attacker's plan under the profile. It does not fetch the profile's
// secrets: the attacker gets nothing of the person's.
func (t *tested) plan(ctx context.Context, rig rig, argv []string) (plan.Plan, error) {
	if err := os.WriteFile(t.choice.Profile, rig.profile(t.name, t.extends, slices.Contains(t.choice.Without, policy.LayerNamespaces)), 0o600); err != nil {
		return plan.Plan{}, err
	}
	ch := t.choice
	ch.Command, ch.Workspace = argv, rig.Workspace
	p, err := t.caller.Prepare(ctx, ch)
	if err != nil {
		return plan.Plan{}, err
	}
	defer p.Close()
	if p.Untrusted != nil {
		return plan.Plan{}, p.Untrusted
	}
	if own := server.OwnState(p.Policy, t.at); own != "" {
		if err := os.MkdirAll(own, 0o700); err != nil {
			return plan.Plan{}, err
		}
		t.state = own
	}
	return p.Plan.WithSecrets(nil), nil
}

// kernelRelease is the release in uname(2).
func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "of an unknown release"
	}
	return unix.ByteSliceToString(u.Release[:])
}
