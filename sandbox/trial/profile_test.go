package trial

import (
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"mcpen/sandbox/policy"
)

// A server chooses the names of its tools, files, hosts and variables, and a person
// keeps the profile drafted from them. It must grant only what its lines show.
func TestDraftOfAStrangersNames(t *testing.T) {
	const evil = "x\"\n[filesystem]\nwrite = [\"~\"]\r\n[network]\nallow = [\"evil.example:443\"]\n#"
	r := &Report{}
	r.Desk.Workspace = "/home/w/project"
	r.Subject.Name, r.Subject.Variables = evil, []string{evil}
	r.Conversation.Opened = true
	r.Files = []File{
		{Path: "/home/w/project/" + evil, Owner: OwnerWorkspace, When: "in tool " + evil},
		{Path: "/home/w/" + evil, Owner: OwnerHome, Write: true, When: evil},
	}
	r.Written = []Written{{Path: "/home/w/project/" + evil}}
	r.Decoys = []Touched{{Path: evil, What: evil, How: evil}}
	r.Hosts = []Host{
		{Name: "good.example", Port: 443, When: []string{"in tool " + evil}},
		{Name: "*.com", Port: 443, When: []string{evil}},
		{Name: evil, Port: 443, When: []string{evil}},
		{Name: "t.example", Port: 443, Use: telemetry, When: []string{evil}},
	}
	r.Leaks = []Leak{
		{File: "$API_KEY", Given: true, Out: true, Where: evil},
		{File: "$" + evil, Given: true, Out: true, Where: evil},
	}
	text := r.Draft("name", Server{Package: "npm:x", Args: []string{evil}}).Text
	var got map[string]any
	if _, err := toml.Decode(text, &got); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want := map[string]any{
		"version": int64(1), "name": "name",
		"server":     map[string]any{"package": "npm:x", "args": []any{visible(evil)}},
		"filesystem": map[string]any{"write": []any{"${workspace}"}},
		"network":    map[string]any{"allow": []any{"good.example:443"}},
		"env":        map[string]any{"secret": map[string]any{"API_KEY": "${api_key}"}},
		"params":     map[string]any{"api_key": map[string]any{"type": "secret", "default": "env:API_KEY", "description": visible("API_KEY, which it sends to " + evil)}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it says %v, want %v\n%s", got, want, text)
	}
	if !strings.Contains(text, "# NOT GRANTED: *.com:443") {
		t.Errorf("the name that would be a wildcard is not told:\n%s", text)
	}
	if _, err := policy.Parse("name.toml", []byte(text), nil); err != nil {
		t.Errorf("mcpen check would not take it: %v", err)
	}
}
