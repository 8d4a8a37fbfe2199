package server

import (
	"fmt"
	"strings"

	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/wholefile"
)

// Wanted is the package that a person names: by a reference, or by a file that
// describes it. Every remark of the description goes to note.
func Wanted(text string, note func(string)) (pack.Ref, *pack.Draft, error) {
	if !strings.HasSuffix(text, ".json") {
		ref, err := pack.ParseWanted(text)
		if err != nil {
			return ref, nil, &launch.Error{Code: launch.ExitUsage, Err: err, Hint: "mcpen add npm:NAME"}
		}
		return ref, nil, nil
	}
	data, err := wholefile.Read(text, policy.MaxFile)
	if err != nil {
		return pack.Ref{}, nil, &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("cannot read the description of a server: %w", err)}
	}
	d, err := pack.ReadDraft(data)
	if err != nil {
		return pack.Ref{}, nil, &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("%s: %w", text, err)}
	}
	for _, n := range d.Notes {
		note(n)
	}
	if d.Ref.Name == "" {
		return d.Ref, nil, launch.Usage("mcpen run -- COMMAND", "%s names no registry package: unpack the bundle and name its command", text)
	}
	return d.Ref, &d, nil
}
