package locked

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"mcpen/sandbox"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
)

// Explained gives an error of a package its exit code and a hint, unless it has
// them. A refusal counts as one of policy, an interrupt ends mcpen as the signal would,
// and a package that its registry lacks is a program that was not found. Any other
// error means that a part of the sandbox is missing.
func Explained(ctx context.Context, err error) error {
	var young *registry.TooYoungError
	var refusal *pack.Refusal
	var source *pack.SourceError
	var coded *launch.Error
	var found *program.FindError
	var lack *sandbox.Lack
	var mistakes policy.Mistakes
	switch {
	case err == nil || errors.As(err, &coded) || errors.As(err, &mistakes) || errors.As(err, &found) || errors.As(err, &lack):
		return err
	case ctx.Err() != nil:
		return &launch.Error{Code: 128 + int(launch.SignalOf(ctx)), Err: errors.New("interrupted: nothing was installed")}
	case errors.As(err, &young):
		hint := "[install]\nmin-age = \"0s\""
		if young.OldEnough != "" {
			ref := young.Ref
			ref.Version, ref.Tag = young.OldEnough, ""
			hint = ref.String()
		}
		return &launch.Error{Code: launch.ExitRefused, Err: err, Hint: hint}
	case errors.As(err, &source):
		return &launch.Error{Code: launch.ExitRefused, Err: err, Hint: fmt.Sprintf("[install]\nbuild = [%q]", source.Name)}
	case errors.As(err, &refusal):
		return &launch.Error{Code: launch.ExitRefused, Err: err}
	case errors.Is(err, install.ErrLibrary):
		return &launch.Error{Code: launch.ExitUsage, Err: err, Hint: "mcpen add npm:NAME   # of the server, which may be another package of the same project"}
	}
	if notKept(err) {
		return &launch.Error{Code: launch.ExitSandbox, Err: fmt.Errorf("cannot keep packages: %w", err),
			Hint: "packages are kept below XDG_STATE_HOME, else ~/.local/state, and locks below XDG_CONFIG_HOME, else ~/.config: both must be writable"}
	}
	if absent := (*pack.MissingError)(nil); errors.As(err, &absent) {
		return &launch.Error{Code: int(program.NotFound), Err: err}
	}
	return &launch.Error{Code: launch.ExitSandbox, Err: err}
}

// notKept reports whether an error is one of the folders in which packages are kept.
func notKept(err error) bool {
	return slices.ContainsFunc([]error{syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT, syscall.ENOTDIR}, func(lack error) bool { return errors.Is(err, lack) })
}

// OfPackage reports whether the package is the reason of an install's error: not this
// machine, which lacks something, and not a name or a registry that could not be asked.
func OfPackage(err error) bool {
	var lack *sandbox.Lack
	var found *program.FindError
	if errors.As(err, &lack) || errors.As(err, &found) || notKept(err) {
		return false
	}
	var failure *install.Failure
	var source *pack.SourceError
	var unfit *pack.UnfitError
	return errors.As(err, &failure) || errors.As(err, &source) || errors.As(err, &unfit)
}

// damaged adds a remedy to the refusal of a tree in the store.
func damaged(err error, name string) error {
	var refusal *pack.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	return &launch.Error{Code: launch.ExitRefused, Err: err, Hint: "mcpen verify --repair " + name}
}
