package pack

import (
	"regexp"
	"sync"
)

// pattern is a regular expression that is compiled when it is first used. Every
// start of a server executes this binary four times, and three of them look at
// no package.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
