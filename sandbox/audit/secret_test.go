package audit_test

import (
	"testing"

	"mcpen/sandbox/audit"
)

// A hint for a credential is the line that "mcpen allow" writes: in env.pass its value
// would be no secret, and stand in logs.
func TestACredentialIsGrantedAsASecret(t *testing.T) {
	for name, want := range map[string]string{
		"BRAVE_API_KEY": `env.secret.BRAVE_API_KEY = "env:BRAVE_API_KEY"`, "A.TOKEN": `env.secret."A.TOKEN" = "env:A.TOKEN"`,
		"KEY_FILE": `env.pass = ["KEY_FILE"]`, "LANG": `env.pass = ["LANG"]`, "MAX_TOKENS": `env.pass = ["MAX_TOKENS"]`,
	} {
		g := audit.AllowVariable(name)
		if got := g.Line(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if got := g.Command("files"); got != "mcpen allow files env:"+name {
			t.Errorf("%s: the command is %q", name, got)
		}
	}
}
