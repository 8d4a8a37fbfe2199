package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/zalando/go-keyring"

	"mcpen/sandbox/plan"
)

const (
	maxSecret   = 64 << 10
	secretDelay = 30 * time.Second // a password manager may ask the person
)

// fetchSecrets fills in the values of the plan's secrets. No error says what a
// secret is.
func (a *app) fetchSecrets(ctx context.Context, p *plan.Plan) error {
	for i := range p.Process.Secrets {
		s := &p.Process.Secrets[i]
		value, err := a.secret(ctx, s.From)
		if err != nil {
			return &codeError{code: exitUsage, err: fmt.Errorf("%s: cannot fetch the secret for %s from %q: %w", s.At, s.Name, s.From, err)}
		}
		if strings.ContainsRune(value, 0) {
			return &codeError{code: exitUsage, err: fmt.Errorf("%s: the secret for %s holds a NUL, which no variable can", s.At, s.Name)}
		}
		s.Value = plan.Opaque(value)
	}
	return nil
}

// secret fetches one reference. One line end behind the value is not part of it.
func (a *app) secret(ctx context.Context, from string) (string, error) {
	kind, what, _ := strings.Cut(from, ":")
	switch kind {
	case "env":
		v, ok := a.lookup(what)
		if !ok {
			return "", errors.New("it is not set")
		}
		return v, nil
	case "file":
		return readSecret(what)
	case "command":
		return a.commandSecret(ctx, what)
	case "keyring":
		service, name, ok := strings.Cut(what, "/")
		if !ok {
			return "", errors.New("it is not keyring:SERVICE/NAME")
		}
		return keyring.Get(service, name)
	}
	return "", fmt.Errorf("internal error: no kind of secret %q", kind)
}

func readSecret(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("others can read it (mode %04o): chmod 600 %s", st.Mode().Perm(), name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("it is longer than %d bytes", maxSecret)
	}
	return trimLine(string(data)), nil
}

// commandSecret runs a command with the user's rights, without a shell, and
// takes what it prints.
func (a *app) commandSecret(ctx context.Context, line string) (string, error) {
	argv := strings.Fields(line)
	if len(argv) == 0 {
		return "", errors.New("the command is empty")
	}
	ctx, cancel := context.WithTimeout(ctx, secretDelay)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Stderr = a.env, a.err
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", fmt.Errorf("it did not answer within %v", secretDelay)
	}
	if err != nil {
		return "", err
	}
	return trimLine(string(out)), nil
}

func trimLine(s string) string { return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r") }
