package policy

import (
	"regexp"
	"sync"
)

// pattern returns a regular expression that is compiled on first use. Every start of a
// server executes this binary four times, and three of them read no profile.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
