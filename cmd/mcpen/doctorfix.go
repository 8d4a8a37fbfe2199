package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
)

// fix writes and loads the AppArmor profile that doctor's checks ask for, if a person
// says yes. It reports whether it did. The person pastes every other remedy by hand:
// those change more than mcpen's own rights.
func (a *app) fix(ctx context.Context, uid int, checks []host.Check) (bool, error) {
	i := slices.IndexFunc(checks, func(c host.Check) bool { return c.AppArmor != "" })
	if i < 0 {
		fmt.Fprintln(a.Err, "mcpen: nothing here is mended by an AppArmor profile, and --fix writes nothing else")
		return false, nil
	}
	profile := checks[i].AppArmor
	state := "new"
	if old, err := os.ReadFile(host.AppArmorFile); err == nil {
		state = "replaces another"
		if string(old) == profile {
			state = "is there already, and is loaded again"
		}
	}
	fmt.Fprintf(a.Err, "%s (%s):\n\n", host.AppArmorFile, state)
	for line := range strings.Lines(profile) {
		fmt.Fprintln(a.Err, audit.Visible(strings.TrimSuffix(line, "\n")))
	}
	fmt.Fprintln(a.Err)
	if !a.yes("write it and load it, as root?") {
		return false, nil
	}
	for _, step := range []struct{ argv, in string }{
		{"tee " + host.AppArmorFile, profile},
		{"apparmor_parser -r " + host.AppArmorFile, ""},
	} {
		if err := a.asRoot(ctx, uid, step.in, strings.Fields(step.argv)...); err != nil {
			return false, err
		}
	}
	return true, nil
}

// asRoot runs a command as root. For any other user it calls sudo, which asks for the
// password at the terminal.
func (a *app) asRoot(ctx context.Context, uid int, in string, argv ...string) error {
	plain := strings.Join(argv, " ")
	if uid != 0 {
		argv = append([]string{"sudo", "--"}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), io.Discard, a.Err
	if err := cmd.Run(); err != nil {
		err = fmt.Errorf("cannot run %q: %w", strings.Join(argv, " "), err)
		if errors.Is(err, exec.ErrNotFound) {
			return &launch.Error{Code: exitSandbox, Err: err, Hint: "as root: " + plain}
		}
		return err
	}
	return nil
}

// again is doctor in a process of its own: a profile counts for programs that are
// executed after it was loaded.
func (a *app) again(ctx context.Context, binary string) error {
	cmd := exec.CommandContext(ctx, binary, "doctor")
	cmd.Stdout, cmd.Stderr = a.out, a.Err
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return &launch.Error{Code: exitSandbox, Err: errors.New("the profile is loaded, and this machine still cannot hold a server"), Hint: "mcpen doctor"}
	}
	return err
}
