package locked

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/advisory"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/pack/store"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// Standing holds the findings about a lock, so that a start need not repeat the search:
// it lies in mcpen's state directory, one file a lock.
type Standing struct {
	Lock     string `json:"lock"`               // the judged lock: its digest and the hash of the tree
	Database string `json:"database,omitempty"` // the advisories for the judgement, as Stamp names them
	// Malicious says which package of the lock is; Unread names the advisories that
	// mcpen could not use.
	Malicious string `json:"malicious,omitempty"`
	Unread    string `json:"unread,omitempty"`
	// Withdrawn is the registry's last answer against the locked version, and Version
	// the version that it was about.
	Withdrawn string `json:"withdrawn,omitempty"`
	Version   string `json:"version,omitempty"`
	// Trees are the hashes of trees that the lock does not name, by platform, as
	// they came out here: a run does not change a lock that somebody reviewed. They
	// are those of the lock of the digest For.
	Trees map[string]string `json:"trees,omitempty"`
	For   string            `json:"for,omitempty"`
}

// Complete adds to a lock the trees of platforms that it does not name.
func (s Standing) Complete(l pack.Lock) pack.Lock {
	if s.For != l.Digest || l.Digest == "" || len(s.Trees) == 0 {
		return l
	}
	all := maps.Clone(s.Trees)
	maps.Copy(all, l.Trees)
	l.Trees = all
	return l
}

// StandingFile is the file of a lock's standing.
func StandingFile(at user.Dirs, lockFile string) string {
	sum := sha256.Sum256([]byte(lockFile))
	return filepath.Join(at.State, "standing", hex.EncodeToString(sum[:16])+".json")
}

// ReadStanding returns the known findings, which are empty if the file is unreadable.
func ReadStanding(at user.Dirs, lockFile string) Standing {
	var s Standing
	if data, err := os.ReadFile(StandingFile(at, lockFile)); err != nil || json.Unmarshal(data, &s) != nil {
		return Standing{}
	}
	return s
}

// Keep writes a standing. If that fails, the next start judges again.
func (s Standing) Keep(at user.Dirs, lockFile string) {
	file := StandingFile(at, lockFile)
	data, err := json.Marshal(s)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o700)
	}
	if err == nil {
		_ = wholefile.Replace(file, append(data, '\n'), 0o644)
	}
}

// judge compares an opened lock with its tree and with the local advisories, once for
// each lock and database, and reports the registry's word against it. It refuses a
// malicious package and one that differs from its name in the lock.
func (c *Packages) judge(at user.Dirs, lockFile string, lock pack.Lock, tree *store.Tree) error {
	s := ReadStanding(at, lockFile)
	key, db := lock.Digest+" "+tree.Hash, Stamp(Advisories(at), time.Now())
	if lock.Digest == "" || s.Lock != key || s.Database != db {
		bundled, err := install.CheckTree(tree, lock)
		if err != nil {
			return err
		}
		if lock.Form < 2 {
			lock.Dependencies = append(lock.Dependencies[:len(lock.Dependencies):len(lock.Dependencies)], bundled...)
		}
		s.Lock, s.Database = key, db
		s.Malicious, s.Unread = c.Malicious(at, lock)
		s.Keep(at, lockFile)
	}
	if s.Unread != "" {
		c.Warn("%s", s.Unread)
	}
	if s.Malicious != "" {
		return &launch.Error{Code: launch.ExitRefused, Err: errors.New(s.Malicious), Hint: "mcpen scan"}
	}
	if s.Withdrawn != "" && s.Version == lock.Version {
		c.Warn("%s %s: %s", lock.Package, lock.Version, audit.Visible(s.Withdrawn))
	}
	return nil
}

// Malicious names the malicious package of a lock, "" for none, and the advisories that
// mcpen could not use.
func (c *Packages) Malicious(at user.Dirs, l pack.Lock) (malicious, unread string) {
	db := Advisories(at)
	if _, err := os.Stat(db); errors.Is(err, fs.ErrNotExist) {
		return "", "" // none are kept
	}
	found, bad, err := advisory.Find(db, []pack.Lock{l})
	if err != nil {
		return "", "the advisories were not looked at: " + audit.Visible(err.Error())
	}
	if bad.Count > 0 {
		unread = fmt.Sprintf("%s of the advisories could not be used: %s", user.Count(bad.Count, "record"), audit.Visible(bad.First[0].Error()))
	}
	for _, f := range found[0] {
		if f.Malicious {
			return fmt.Sprintf("%s is malicious: %s: %s", audit.Visible(f.Package), audit.Visible(f.ID), audit.Visible(f.Summary)), unread
		}
	}
	return "", unread
}

// stampEntries limits the files that mcpen examines one by one in a database that is a
// directory. In a larger one it notices an edit in place on the next day.
const stampEntries = 2000

// Stamp tells one state of an advisory database from another without reading it; "" if
// there is none.
func Stamp(db string, now time.Time) string {
	info, err := os.Stat(db)
	if err != nil {
		return ""
	}
	sum := sha256.New()
	tell := func(name string, info fs.FileInfo) {
		fmt.Fprintf(sum, "%q %d %d %s\n", name, info.Size(), info.ModTime().UnixNano(), info.Mode())
	}
	tell("", info)
	seen := 0
	var walk func(dir string)
	walk = func(dir string) {
		f, err := os.Open(dir)
		if err != nil {
			return
		}
		defer f.Close()
		list, _ := f.Readdirnames(stampEntries + 1 - seen) // an unreadable part does not count
		seen += len(list)
		if seen > stampEntries {
			return
		}
		for _, name := range slices.Sorted(slices.Values(list)) {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
				tell(filepath.Join(dir, name), info)
				if info.IsDir() {
					walk(filepath.Join(dir, name))
				}
			}
		}
	}
	if info.IsDir() {
		walk(db)
	}
	if seen > stampEntries {
		fmt.Fprintf(sum, "day %d", now.Unix()/86400)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// Withdrawn completes "the locked version was …" where the registry withdrew it; "": it did not.
// Where the registry cannot be asked, its last answer counts.
func (c *Packages) Withdrawn(ctx context.Context, at user.Dirs, l Lock) string {
	words := ""
	in, err := c.InstallerFor(ctx, at, l)
	if err == nil {
		_, words, err = c.Latest(ctx, in, at, l)
	}
	if s := ReadStanding(at, l.File); err != nil && words == "" && s.Version == l.Lock.Version {
		words = s.Withdrawn
	}
	return words
}
