package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"mcpen/sandbox/explain"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/trust"
	"mcpen/sandbox/user"
)

// notYet warns a person who only looks that nothing starts from the profile yet, and why.
func (a *app) notYet(why error) {
	a.Warn("nothing starts from it yet: %v", why)
	var coded *launch.Error
	if errors.As(why, &coded) && coded.Hint != "" {
		launch.Say(a.Err, "hint", coded.Hint)
	}
}

// yes asks a person at a terminal.
func (a *app) yes(question string) bool {
	fmt.Fprintf(a.Err, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(a.in).ReadString('\n') // no answer is no
	s := strings.ToLower(strings.TrimSpace(answer))
	return s == "y" || s == "yes"
}

// agreedTo asks a person at a terminal; elsewhere it is an error with the flag to use.
func (a *app) agreedTo(question, hint string) (bool, error) {
	if !a.Terminal(a.in) {
		return false, usage(hint, "nothing was changed: there is nobody to ask")
	}
	if !a.yes(question) {
		fmt.Fprintln(a.out, "nothing was changed")
		return false, nil
	}
	return true, nil
}

// confirmed shows a person at a terminal the subject of their trust, and asks.
func (a *app) confirmed(at user.Dirs, e trust.Evidence) bool {
	if !a.Terminal(a.in) || !a.Terminal(a.Err) {
		return false
	}
	explain.Evidence(a.Err, at, e)
	return a.yes("trust it as it is, and start it?")
}
