package draft

import (
	"testing"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
)

// A description that becomes a profile with mistakes, or one that gives
// something away, is worse than none.
func TestDraftBecomesAClosedProfile(t *testing.T) {
	d, err := pack.ReadDraft([]byte(`{
		"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
		"name": "io.example/notes", "description": "keeps \"notes\"\u001b[31m", "version": "1.2.3",
		"packages": [{
			"registryType": "npm", "identifier": "@example/notes", "version": "1.2.3", "transport": {"type": "stdio"},
			"packageArguments": [{"type": "positional", "valueHint": "dir", "format": "filepath", "isRequired": true, "description": "where they are"}],
			"environmentVariables": [
				{"name": "NOTES_TOKEN", "isSecret": true, "isRequired": true, "description": "a token"},
				{"name": "NOTES_LEVEL", "default": "info"}
			]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	text := Described("notes", server.Bare(d.Ref), d)
	p, err := policy.Parse("notes.toml", text, nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	params := map[string][]string{}
	for _, param := range p.Params {
		switch param.Type {
		case "secret":
			params[param.Name] = []string{"env:TOKEN"}
		case "directory":
			params[param.Name] = []string{"/srv/notes"}
		default:
			params[param.Name] = []string{"x"}
		}
	}
	pol, err := policy.Resolve(p, policy.Input{Params: params, Home: "/home/u", State: "/home/u/.local/state/mcpen", Config: "/home/u/.config/mcpen", Cwd: "/srv"})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if pol.Server.Package != "npm:@example/notes" || len(pol.Env.Secret) != 1 || pol.Env.Secret[0].Name != "NOTES_TOKEN" {
		t.Errorf("the profile lost what the description says:\n%s", text)
	}
	if len(pol.Network.Allow)+len(pol.Filesystem.Read)+len(pol.Filesystem.Write) > 0 {
		t.Errorf("a description gave something away:\n%s", text)
	}
}
