package pack

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const serverJSON = `{"$schema":"x","name":"io.github.demo/server","description":"a demo","version":"1.0.2","packages":[
 {"registryType":"oci","identifier":"img","version":"1"},
 {"registryType":"npm","registryBaseUrl":"https://r.invalid","identifier":"@demo/server","version":"1.0.2","fileSha256":"SHA","transport":{"type":"stdio"},
  "runtimeArguments":[{"type":"named","name":"--x"}],
  "packageArguments":[{"type":"positional","value":"serve"},{"type":"positional","valueHint":"target_dir","format":"filepath","isRequired":true,"description":"where"},
   {"type":"named","name":"--mode","default":"fast"},{"type":"named","name":"--opt"},
   {"type":"named","name":"--db","value":"db://{user}:{pw}@h","variables":{"user":{"isRequired":true},"pw":{"isSecret":true}}}],
  "environmentVariables":[{"name":"API_KEY","isRequired":true,"isSecret":true,"value":"leaked","description":"key"},{"name":"LEVEL","default":"info"},{"name":"MAYBE"},{"name":"BAD-NAME","isRequired":true}]}]}`

func TestReadServerJSON(t *testing.T) {
	text := strings.Replace(serverJSON, "SHA", strings.Repeat("a", 64), 1)
	for _, in := range []string{text, `{"server":` + text + `}`} {
		d, err := ReadDraft([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if d.Ref.String() != "npm:@demo/server@1.0.2" || !slices.Equal(d.Hashes, []string{"sha256:" + strings.Repeat("a", 64)}) || !slices.Equal(secretsOf(d), []string{"API_KEY"}) {
			t.Errorf("%+v", d)
		}
		if diff := cmp.Diff([]string{"serve", "${target_dir}", "--mode", "fast", "--db", "db://${user}:${pw}@h"}, d.Args); diff != "" {
			t.Error(diff)
		}
		types := map[string]string{}
		for _, p := range d.Params {
			types[p.Name] = p.Type
		}
		if diff := cmp.Diff(map[string]string{"target_dir": "path", "user": "string", "pw": "secret", "api_key": "secret"}, types); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]DraftEnv{{"API_KEY", "${api_key}", true}, {"LEVEL", "info", false}}, d.Env); diff != "" {
			t.Error(diff)
		}
		if len(d.Notes) != 5 {
			t.Errorf("notes %q", d.Notes)
		}
	}
}

func TestReadBundleManifest(t *testing.T) {
	d, err := ReadDraft([]byte(`{"manifest_version":"0.3","name":"demo","version":"1.0.0","server":{"type":"node","entry_point":"s/i.js","mcp_config":{
	 "command":"node","args":["${__dirname}/s/i.js","${user_config.dirs}"],"env":{"KEY":"${user_config.api_key}","MODE":"x"}}},
	 "user_config":{"dirs":{"type":"directory","multiple":true,"required":true},"api_key":{"type":"string","sensitive":true,"title":"Key","default":"no"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"node", "${__dirname}/s/i.js", "${dirs}"}, d.Command); diff != "" || d.Ref.Name != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]DraftParam{{Name: "dirs", Type: "path", Required: true}, {Name: "api_key", Type: "secret", Description: "Key"}}, d.Params); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(secretsOf(d), []string{"KEY"}) {
		t.Errorf("secrets %v", secretsOf(d))
	}
	d, err = ReadDraft([]byte(`{"manifest_version":"0.3","name":"demo","server":{"type":"node","mcp_config":{"command":"npx","args":["-y","@demo/server","x"]}}}`))
	if err != nil || d.Ref.Name != "@demo/server" || !slices.Equal(d.Args, []string{"x"}) {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestReadDraftRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"empty": "", "no JSON": "<html>", "nothing in it": "{}", "range": strings.Replace(serverJSON, `"version":"1.0.2","fileSha256"`, `"version":"^1.0.0","fileSha256"`, 1),
		"latest": strings.Replace(serverJSON, `"version":"1.0.2","fileSha256"`, `"version":"latest","fileSha256"`, 1), "bad hash": serverJSON,
		"only oci":         `{"name":"a","packages":[{"registryType":"oci","identifier":"x","version":"1"}]}`,
		"manifest of none": `{"manifest_version":"0.3","name":"x"}`,
		"shell":            `{"manifest_version":"0.3","name":"x","server":{"mcp_config":{"command":"npx","args":["-c","ls"]}}}`,
		"large":            `{"name":"` + strings.Repeat("a", maxDescription) + `"}`,
	} {
		if d, err := ReadDraft([]byte(in)); err == nil {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func FuzzReadDraft(f *testing.F) {
	f.Add([]byte(serverJSON))
	f.Add([]byte(`{"manifest_version":"0.3","name":"x","server":{"mcp_config":{"command":"npx","args":["a"]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ReadDraft(data)
		if err == nil && d.Ref.Name != "" {
			if _, err := ParseRef(d.Ref.String()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// secretsOf lists the names of the variables that hold secrets.
func secretsOf(d Draft) []string {
	var out []string
	for _, e := range d.Env {
		if e.Secret {
			out = append(out, e.Name)
		}
	}
	return out
}
