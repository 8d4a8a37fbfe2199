package install

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"mcpen/sandbox/pack"
)

// packageJSON is an installed package's description of itself.
type packageJSON struct {
	Name    string
	Version string
	Bin     json.RawMessage
}

// UnmarshalJSON reads the keys as node does: by their exact letters.
func (p *packageJSON) UnmarshalJSON(data []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	*p = packageJSON{Bin: all["bin"]}
	for key, to := range map[string]*string{"name": &p.Name, "version": &p.Version} {
		if all[key] != nil && json.Unmarshal(all[key], to) != nil {
			return fmt.Errorf("its %s is no text", key)
		}
	}
	return nil
}

// bins gives the programs of a package by name, each a clean path below it. A
// single string stands for the package's unscoped name. Of two with the same last
// part the one that stands last counts, as for npm.
func (p packageJSON) bins() map[string]string {
	out := map[string]string{}
	take := func(name string, v any) {
		target, ok := v.(string)
		name = path.Base(strings.NewReplacer(`\`, "/", ":", "/").Replace(name))
		target = path.Clean("/" + target)[1:]
		if ok && target != "" && pack.IsProgramName(name) && pack.CheckPath(target, 1024) == nil {
			out[name] = target
		}
	}
	dec := json.NewDecoder(bytes.NewReader(p.Bin))
	start, err := dec.Token()
	if err != nil {
		return out
	}
	if file, ok := start.(string); ok {
		_, base := pack.SplitScope(p.Name)
		take(base, file)
	}
	if start != json.Delim('{') {
		return out
	}
	for dec.More() {
		name, err := dec.Token()
		var target any
		if err != nil || dec.Decode(&target) != nil {
			return map[string]string{} // it was read before, so it is well formed
		}
		take(name.(string), target)
	}
	return out
}
