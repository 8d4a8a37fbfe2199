package server

import (
	"context"
	"errors"
	"testing"

	"github.com/zalando/go-keyring"

	"mcpen/sandbox/locked"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/user"
)

// A client's file that names another server's key must not get it.
func TestKeptSecretIsTheVariablesOwn(t *testing.T) {
	keyring.MockInit()
	kept := KeptFor("claude-desktop", "/f", "", "git hub/ü", "TOKEN")
	if err := kept.Keep("ghp_x", `"gh\u0070_x"`); err != nil {
		t.Fatal(err)
	}
	for variable, value := range map[string]string{"OTHER": kept.Ref(), "TOKEN": "ghp_y", "KEN": kept.Ref()} {
		c := &Caller{Packages: locked.Packages{Person: user.Person{Env: []string{variable + "=" + value}}}}
		got, err := c.secret(context.Background(), "env:"+variable, Prepared{})
		if err != nil || got != value {
			t.Errorf("%s=%s became %q, %v", variable, value, got, err)
		}
	}
	c := &Caller{Packages: locked.Packages{Person: user.Person{Env: []string{"TOKEN=" + kept.Ref()}}}}
	p := Prepared{}
	p.Plan.Process.Secrets = []plan.Secret{{Name: "TOKEN", From: "env:TOKEN"}}
	if got, err := c.FetchSecrets(context.Background(), p); err != nil || got["TOKEN"] != plan.Opaque("ghp_x") {
		t.Errorf("its own is %v, %v", got, err)
	}
	if other := KeptFor("claude-desktop", "/g", "", "git hub/ü", "TOKEN"); other == kept {
		t.Error("two files share one item")
	}
	if err := kept.Drop(); err != nil {
		t.Fatal(err)
	}
	if err := kept.Drop(); err != nil {
		t.Errorf("dropped twice: %v", err)
	}
	if _, err := c.secret(context.Background(), "env:TOKEN", p); err == nil {
		t.Error("a secret that is gone was found")
	}
	keyring.MockInitWithError(errors.New("locked"))
	defer keyring.MockInit()
	if err := kept.Keep("x", ""); err == nil {
		t.Error("a keyring that is locked kept something")
	}
	if _, err := c.FetchSecrets(context.Background(), p); err == nil {
		t.Error("a server started without its secret")
	}
}
