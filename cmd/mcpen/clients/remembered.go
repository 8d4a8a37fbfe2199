package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"mcpen/sandbox/wholefile"
)

// rememberedFile keeps the former content of clients' files.
func rememberedFile(state string) string { return filepath.Join(state, "clients.json") }

// Remembered is the content of each file at wrap's or unwrap's last visit.
func Remembered(state string) (map[string]Seen, error) {
	known := map[string]Seen{}
	if state == "" {
		return known, nil
	}
	data, err := wholefile.Read(rememberedFile(state), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &known)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read what clients' files held: %w", err)
	}
	return known, nil
}

// Remember keeps the present content of these files.
func Remember(state string, places []Place) error {
	if state == "" {
		return errors.New("there is no HOME and no XDG_STATE_HOME")
	}
	known, err := Remembered(state)
	if err != nil {
		return err
	}
	for _, p := range places {
		if entries, err := p.Servers(); err == nil {
			known[p.Path] = Look(entries)
		}
	}
	data, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return fmt.Errorf("internal error: cannot encode what clients' files hold: %w", err)
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	return wholefile.Replace(rememberedFile(state), append(data, '\n'), 0o600)
}
