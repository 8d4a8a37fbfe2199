package policy_test

import (
	"errors"
	"testing"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/policy"
)

// A token that a hint asks for becomes a secret, however the profile writes its table,
// and every other byte stays.
func TestInsertSecret(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"an empty file", "", "\n[env.secret]\nA_KEY = \"env:A_KEY\"\n"},
		{"no such table", "version = 1 # x", "version = 1 # x\n\n[env.secret]\nA_KEY = \"env:A_KEY\"\n"},
		{"a table with a header", "[env.secret] # mine\n  B = \"env:B\"\n\n[log]\n", "[env.secret] # mine\n  A_KEY = \"env:A_KEY\"\n  B = \"env:B\"\n\n[log]\n"},
		{"braces", "[env]\nsecret = { B = \"env:B\" } # b\n", "[env]\nsecret = { A_KEY = \"env:A_KEY\", B = \"env:B\" } # b\n"},
		{"empty braces", "[env]\nsecret = {}\n", "[env]\nsecret = { A_KEY = \"env:A_KEY\" }\n"},
		{"dotted keys", "env.secret.B = \"env:B\"\nlog.files = true\n", "env.secret.A_KEY = \"env:A_KEY\"\nenv.secret.B = \"env:B\"\nlog.files = true\n"},
		{"dotted keys below a header", "[env]\nsecret.B = \"env:B\"\n", "[env]\nsecret.A_KEY = \"env:A_KEY\"\nsecret.B = \"env:B\"\n"},
		{"another key of the environment", "[env]\npass = [\"LANG\"]\n", "[env]\npass = [\"LANG\"]\n\n[env.secret]\nA_KEY = \"env:A_KEY\"\n"},
		{"line ends of Windows", "[env.secret]\r\n", "[env.secret]\r\nA_KEY = \"env:A_KEY\"\r\n"},
	} {
		got, err := policy.Insert([]byte(c.src), *audit.AllowVariable("A_KEY"))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q (%v), want %q", c.name, got, err, c.want)
		}
		if _, err := policy.Insert(got, *audit.AllowVariable("A_KEY")); !errors.Is(err, policy.ErrGranted) {
			t.Errorf("%s: written twice: %v", c.name, err)
		}
	}
	for _, src := range []string{"env.pass = [\"A_KEY\"]\n", "[env]\nset = { A_KEY = \"1\" }\n", "[env.secret]\nA_KEY = \"keyring:a/b\"\n"} {
		if got, err := policy.Insert([]byte(src), *audit.AllowVariable("A_KEY")); !errors.Is(err, policy.ErrGranted) {
			t.Errorf("%q: became %q (%v), although the server has it", src, got, err)
		}
	}
	for _, src := range []string{"env = 1\n", "[env]\nsecret = []\n", "env = { pass = [] }\n", "[env\n"} {
		if got, err := policy.Insert([]byte(src), *audit.AllowVariable("A_KEY")); err == nil || errors.Is(err, policy.ErrGranted) {
			t.Errorf("%q: became %q (%v)", src, got, err)
		}
	}
}
