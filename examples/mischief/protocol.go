package main

import (
	"encoding/json"
	"slices"
)

// latest is the newest revision that begins with initialize.
const latest = "2025-11-25"

// handshakes are the revisions that begin with initialize.
var handshakes = []string{"2024-11-05", "2025-03-26", "2025-06-18", latest}

var about = map[string]string{"name": "mischief", "version": "1.0.0"}

const instructions = "Reads, writes and connects wherever it is asked to."

// initialize agrees on a revision: the client's if it is known, else the newest.
func initialize(params json.RawMessage) (any, *failure) {
	var p struct {
		Version string `json:"protocolVersion"`
	}
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, &failure{codeArgument, "initialize needs a protocolVersion"}
	}
	if !slices.Contains(handshakes, p.Version) {
		p.Version = latest
	}
	return map[string]any{
		"protocolVersion": p.Version,
		"capabilities":    map[string]any{"tools": struct{}{}},
		"serverInfo":      about,
		"instructions":    instructions,
	}, nil
}

// discover is the beginning of 2026-07-28, where nothing is agreed on.
func discover() any {
	return modern(map[string]any{
		"supportedVersions": []string{"2026-07-28"},
		"capabilities":      map[string]any{"tools": struct{}{}},
		"instructions":      instructions,
		"ttlMs":             0,
		"cacheScope":        "public",
	})
}

// modern adds the fields that every result has since 2026-07-28. Older clients ignore
// them.
func modern(result map[string]any) map[string]any {
	result["resultType"] = "complete"
	result["_meta"] = map[string]any{"io.modelcontextprotocol/serverInfo": about}
	return result
}
