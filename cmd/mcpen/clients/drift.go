package clients

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Seen records the servers of one file at the last wrap or unwrap, each with a digest
// of its command and of its variables' names.
type Seen map[string]Sight

// Sight is one server as it was seen.
type Sight struct {
	State  State  `json:"state"`
	Digest string `json:"digest"`
}

// Look returns the visible state of entries.
func Look(entries []Entry) Seen {
	out := make(Seen, len(entries))
	for _, e := range entries {
		names := slices.Clone(e.Names)
		for _, v := range e.Env {
			names = append(names, v.Name)
		}
		slices.Sort(names)
		text, err := json.Marshal([]any{e.Command, names, e.EnvFile})
		if err != nil {
			panic("internal error: words are no JSON: " + err.Error())
		}
		sum := sha256.Sum256(text)
		out[e.Key()] = Sight{e.State, hex.EncodeToString(sum[:8])}
	}
	return out
}

// Key tells an entry from the others of its file, for a person as well.
func (e Entry) Key() string {
	if e.Scope != "" {
		return e.Server + " in " + e.Scope
	}
	return e.Server
}

// Drift describes the changes since was, in words.
func (was Seen) Drift(now Seen) []string {
	var out []string
	say := func(format string, key string) { out = append(out, fmt.Sprintf(format, key)) }
	for _, key := range slices.Sorted(maps.Keys(now)) {
		before, known := was[key]
		switch is := now[key]; {
		case !known:
			say("%s is new", key)
		case before.State == Wrapped && is.State != Wrapped:
			say("%s is no longer in a pen", key)
		case before.Digest != is.Digest:
			say("%s has another command or other variables", key)
		case before.State != is.State:
			say("%s is "+string(is.State)+", and was "+string(before.State), key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(was)) {
		if _, there := now[key]; !there {
			say("%s is gone", key)
		}
	}
	return out
}
